/* Rows of `length` elements, one after the other in the input, `stride` apart in the output. */
struct movement {
    int32_t rows;
    int32_t length;
    int32_t stride;
    int32_t in_zero;
    struct multiplier multiplier;
    struct grid grid;
};
