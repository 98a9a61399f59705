/* Transposed convolution onto a grid. */
static void conv_transpose2d(const struct convolution *p, const uint8_t *in,
                   uint8_t *out)
{
    for (int32_t image = 0; image < p->images; image++) {
        for (int32_t channel = 0; channel < p->out_channels; channel++) {
            for (int32_t y = 0; y < p->out_height; y++) {
                for (int32_t x = 0; x < p->out_width; x++) {
                    const int32_t sum = transposed_sum(p, in, channel, y, x);
                    *out++ = requantize(sum, p->multiplier[channel], &p->grid);
                }
            }
        }
        in += p->in_channels * p->in_height * p->in_width;
    }
}
