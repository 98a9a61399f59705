/* Products of matrices rows x length and length x columns. */
struct matrices {
    int32_t batch;
    int32_t rows, length, columns;
    int32_t a_zero, b_zero;
    struct multiplier multiplier;
    struct grid grid;
};
