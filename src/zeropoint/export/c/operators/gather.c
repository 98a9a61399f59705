/* Elements from all over the input: one at the sum of an offset for each index. */
static void gather(const struct gathering *p, const uint8_t *in, uint8_t *out)
{
    const int32_t *second = p->offset + p->extent[0];
    const int32_t *third = second + p->extent[1];
    const int32_t *fourth = third + p->extent[2];
    for (int32_t i = 0; i < p->extent[0]; i++) {
        for (int32_t j = 0; j < p->extent[1]; j++) {
            for (int32_t k = 0; k < p->extent[2]; k++) {
                const int32_t at = p->offset[i] + second[j] + third[k];
                for (int32_t l = 0; l < p->extent[3]; l++) {
                    *out++ = in[at + fourth[l]];
                }
            }
        }
    }
}
