/* A function of a linear layer. */
static void linear_function(const struct dense *p, const uint8_t *in, uint8_t *out)
{
    for (int32_t row = 0; row < p->rows; row++) {
        for (int32_t feature = 0; feature < p->out_features; feature++) {
            const int32_t sum = dense_sum(p, in, feature);
            const int64_t units = multiply_ROUNDING(sum, p->multiplier[feature]);
            *out++ = apply(units, p->stairs, p->thresholds, p->codes);
        }
        in += p->in_features;
    }
}
