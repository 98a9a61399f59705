/* Transposed convolution as it is: the accumulators. */
static void conv_transpose2d_wide(const struct convolution *p, const uint8_t *in,
                        int32_t *out)
{
    for (int32_t image = 0; image < p->images; image++) {
        for (int32_t channel = 0; channel < p->out_channels; channel++) {
            for (int32_t y = 0; y < p->out_height; y++) {
                for (int32_t x = 0; x < p->out_width; x++) {
                    *out++ = transposed_sum(p, in, channel, y, x);
                }
            }
        }
        in += p->in_channels * p->in_height * p->in_width;
    }
}
