/* The sum of two tensors; a stride of 0 repeats an operand along an axis. */
struct addition {
    int32_t extent[4];
    int32_t a_stride[4];
    int32_t b_stride[4];
    int32_t a_zero;
    int32_t b_zero;
    int32_t b_sign;
    struct multiplier a_multiplier;
    struct multiplier b_multiplier;
    struct grid grid;
};
