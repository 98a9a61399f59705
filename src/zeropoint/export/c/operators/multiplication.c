/* The product of two tensors; a stride of 0 repeats an operand along an axis. */
struct multiplication {
    int32_t extent[4];
    int32_t a_stride[4];
    int32_t b_stride[4];
    int32_t a_zero;
    int32_t b_zero;
    struct multiplier multiplier;
    struct grid grid;
};
