/* One element of a product of two matrices. */
static int32_t matmul_sum(const struct matrices *p, const uint8_t *row, const uint8_t *column)
{
    int32_t sum = 0;
    for (int32_t i = 0; i < p->length; i++) {
        sum += (row[i] - p->a_zero) * (column[i * p->columns] - p->b_zero);
    }
    return sum;
}
