/* The accumulator of the output (channel, y, x) of one image under a transposed convolution. */
static int32_t transposed_sum(const struct convolution *p, const uint8_t *image,
                              int32_t channel, int32_t y, int32_t x)
{
    const int32_t first = channel / p->out_per_group * p->in_per_group;
    int32_t sum = p->bias[channel];
    for (int32_t i = 0; i < p->kernel_height; i++) {
        const int32_t top = y + p->padding_y - i * p->dilation_y;
        if (top < 0 || top % p->stride_y != 0 || top / p->stride_y >= p->in_height) {
            continue;
        }
        for (int32_t j = 0; j < p->kernel_width; j++) {
            const int32_t left = x + p->padding_x - j * p->dilation_x;
            if (left < 0 || left % p->stride_x != 0 || left / p->stride_x >= p->in_width) {
                continue;
            }
            for (int32_t c = 0; c < p->in_per_group; c++) {
                const int32_t row = (first + c) * p->in_height + top / p->stride_y;
                const int32_t at = row * p->in_width + left / p->stride_x;
                const int32_t plane = channel * p->in_per_group + c;
                const weight_t *weight = p->weight + plane * p->kernel_height * p->kernel_width;
                sum += (image[at] - p->in_zero) * weight[i * p->kernel_width + j];
            }
        }
    }
    return sum;
}
