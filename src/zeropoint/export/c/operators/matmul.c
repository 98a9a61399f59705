/* Products of matrices onto a grid. */
static void matmul(const struct matrices *p, const uint8_t *a, const uint8_t *b, uint8_t *out)
{
    for (int32_t index = 0; index < p->batch; index++) {
        for (int32_t row = 0; row < p->rows; row++) {
            for (int32_t column = 0; column < p->columns; column++) {
                const int32_t sum = matmul_sum(p, a, b + column);
                *out++ = requantize(sum, p->multiplier, &p->grid);
            }
            a += p->length;
        }
        b += p->length * p->columns;
    }
}
