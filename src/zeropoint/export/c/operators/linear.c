/* A linear layer onto a grid. */
static void linear(const struct dense *p, const uint8_t *in, uint8_t *out)
{
    for (int32_t row = 0; row < p->rows; row++) {
        for (int32_t feature = 0; feature < p->out_features; feature++) {
            const int32_t sum = dense_sum(p, in, feature);
            *out++ = requantize(sum, p->multiplier[feature], &p->grid);
        }
        in += p->in_features;
    }
}
