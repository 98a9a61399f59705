/* The accumulator of one output feature of one row. */
static int32_t dense_sum(const struct dense *p, const uint8_t *row, int32_t feature)
{
    const weight_t *weight = p->weight + feature * p->in_features;
    int32_t sum = p->bias[feature];
    for (int32_t i = 0; i < p->in_features; i++) {
        sum += (row[i] - p->in_zero) * weight[i];
    }
    return sum;
}
