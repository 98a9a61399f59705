/* Products of matrices as they are: the accumulators. */
static void matmul_wide(const struct matrices *p, const uint8_t *a, const uint8_t *b, int32_t *out)
{
    for (int32_t index = 0; index < p->batch; index++) {
        for (int32_t row = 0; row < p->rows; row++) {
            for (int32_t column = 0; column < p->columns; column++) {
                *out++ = matmul_sum(p, a, b + column);
            }
            a += p->length;
        }
        b += p->length * p->columns;
    }
}
