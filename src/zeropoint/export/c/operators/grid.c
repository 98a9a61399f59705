/* The code of the real number 0, and the lowest and the highest code, both inclusive. */
struct grid {
    int32_t zero;
    int32_t low;
    int32_t high;
};
