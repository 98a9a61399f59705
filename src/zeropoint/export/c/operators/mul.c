/* Multiplication, rounded once. */
static void mul(const struct multiplication *p, const uint8_t *a, const uint8_t *b, uint8_t *out)
{
    for (int32_t i = 0; i < p->extent[0]; i++) {
        for (int32_t j = 0; j < p->extent[1]; j++) {
            for (int32_t k = 0; k < p->extent[2]; k++) {
                const int32_t at = i * p->a_stride[0] + j * p->a_stride[1] + k * p->a_stride[2];
                const int32_t bt = i * p->b_stride[0] + j * p->b_stride[1] + k * p->b_stride[2];
                for (int32_t l = 0; l < p->extent[3]; l++) {
                    const int32_t first = a[at + l * p->a_stride[3]] - p->a_zero;
                    const int32_t second = b[bt + l * p->b_stride[3]] - p->b_zero;
                    *out++ = requantize(first * second, p->multiplier, &p->grid);
                }
            }
        }
    }
}
