/* Rows on another grid. */
static void requantize_rows(const struct movement *p, const uint8_t *in, uint8_t *out)
{
    for (int32_t row = 0; row < p->rows; row++) {
        for (int32_t i = 0; i < p->length; i++) {
            const int32_t steps = *in++ - p->in_zero;
            out[row * p->stride + i] = requantize(steps, p->multiplier, &p->grid);
        }
    }
}
