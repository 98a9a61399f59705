/* The accumulator of the output (channel, y, x) of one image; padding adds zeros. */
static int32_t convolution_sum(const struct convolution *p, const uint8_t *image,
                               int32_t channel, int32_t y, int32_t x)
{
    const int32_t top = y * p->stride_y - p->padding_y;
    const int32_t left = x * p->stride_x - p->padding_x;
    const struct range rows = taps(top, p->dilation_y, p->kernel_height, p->in_height);
    const struct range columns = taps(left, p->dilation_x, p->kernel_width, p->in_width);
    const int32_t first = channel / p->out_per_group * p->in_per_group;
    int32_t sum = p->bias[channel];
    for (int32_t c = 0; c < p->in_per_group; c++) {
        for (int32_t i = rows.begin; i < rows.end; i++) {
            const int32_t row = (first + c) * p->in_height + top + i * p->dilation_y;
            const int32_t at = row * p->in_width + left;
            const weight_t *weight = p->weight
                + ((channel * p->in_per_group + c) * p->kernel_height + i) * p->kernel_width;
            for (int32_t j = columns.begin; j < columns.end; j++) {
                sum += (image[at + j * p->dilation_x] - p->in_zero) * weight[j];
            }
        }
    }
    return sum;
}
