/* Two tensors to be compared; a stride of 0 repeats an operand along an axis. */
struct extremes {
    int32_t extent[4];
    int32_t a_stride[4];
    int32_t b_stride[4];
    int32_t a_zero;
    int32_t b_zero;
    struct multiplier a_multiplier;
    struct multiplier b_multiplier;
    struct grid grid;
    int32_t greatest;
};
