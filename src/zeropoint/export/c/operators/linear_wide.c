/* A linear layer as it is: the accumulators. */
static void linear_wide(const struct dense *p, const uint8_t *in, int32_t *out)
{
    for (int32_t row = 0; row < p->rows; row++) {
        for (int32_t feature = 0; feature < p->out_features; feature++) {
            *out++ = dense_sum(p, in, feature);
        }
        in += p->in_features;
    }
}
