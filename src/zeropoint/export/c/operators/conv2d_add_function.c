/* A function of the sum of a convolution and an addend. */
static void conv2d_add_function(const struct convolution *p, const uint8_t *in,
                                const uint8_t *addend, uint8_t *out)
{
    for (int32_t image = 0; image < p->images; image++) {
        for (int32_t channel = 0; channel < p->out_channels; channel++) {
            for (int32_t y = 0; y < p->out_height; y++) {
                for (int32_t x = 0; x < p->out_width; x++) {
                    const int32_t sum = convolution_sum(p, in, channel, y, x);
                    const int64_t units = multiply_ROUNDING(sum, p->multiplier[channel]);
                    const int32_t other = *addend++ - p->addend_zero;
                    const int64_t more = multiply_ROUNDING(other, p->addend_multiplier);
                    *out++ = apply(units + more, p->stairs, p->thresholds, p->codes);
                }
            }
        }
        in += p->in_channels * p->in_height * p->in_width;
    }
}
