/* Each accumulator, or the bound that it lies beyond. */
static void clamp_wide(const struct bounds *p, const int32_t *in, int32_t *out)
{
    for (int32_t i = 0; i < p->size; i++) {
        const int32_t sum = in[i] < p->low ? p->low : in[i];
        out[i] = sum > p->high ? p->high : sum;
    }
}
