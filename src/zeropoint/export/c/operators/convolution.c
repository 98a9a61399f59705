/* Convolution of images in_channels x in_height x in_width: a group of out_per_group channels sees
   in_per_group channels. The weights are out_channels x in_per_group x kernel_height x
   kernel_width, the addend has the shape of the output. */
struct convolution {
    int32_t images;
    int32_t in_channels, in_height, in_width;
    int32_t out_channels, out_height, out_width;
    int32_t in_per_group, out_per_group;
    int32_t kernel_height, kernel_width;
    int32_t stride_y, stride_x;
    int32_t padding_y, padding_x;
    int32_t dilation_y, dilation_x;
    int32_t in_zero;
    const weight_t *weight;
    const int32_t *bias;
    const struct multiplier *multiplier; /* one for each output channel */
    struct multiplier addend_multiplier;
    int32_t addend_zero;
    struct grid grid;
    int32_t stairs; /* of a function: how many, where they are, and the codes between them */
    const int32_t *thresholds;
    const uint8_t *codes;
};
