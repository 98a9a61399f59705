/* How many elements, and between which two they are kept. */
struct bounds {
    int32_t size;
    int32_t low;
    int32_t high;
};
