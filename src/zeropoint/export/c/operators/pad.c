/* The input with the code of zero around it; where `before` is negative, cut. */
static void pad(const struct padding *p, const uint8_t *in, uint8_t *out)
{
    for (int32_t i = -p->before[0]; i < p->out[0] - p->before[0]; i++) {
        for (int32_t j = -p->before[1]; j < p->out[1] - p->before[1]; j++) {
            for (int32_t k = -p->before[2]; k < p->out[2] - p->before[2]; k++) {
                for (int32_t l = -p->before[3]; l < p->out[3] - p->before[3]; l++) {
                    const int32_t inside = 0 <= i && i < p->in[0] && 0 <= j && j < p->in[1]
                        && 0 <= k && k < p->in[2] && 0 <= l && l < p->in[3];
                    const int32_t at = ((i * p->in[1] + j) * p->in[2] + k) * p->in[3] + l;
                    *out++ = inside ? in[at] : (uint8_t)p->zero;
                }
            }
        }
    }
}
