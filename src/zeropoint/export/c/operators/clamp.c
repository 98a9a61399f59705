/* Each element, or the bound that it lies beyond. */
static void clamp(const struct bounds *p, const uint8_t *in, uint8_t *out)
{
    for (int32_t i = 0; i < p->size; i++) {
        const int32_t code = in[i] < p->low ? p->low : in[i];
        out[i] = (uint8_t)(code > p->high ? p->high : code);
    }
}
