/* Rows as they are. */
static void copy_rows(const struct movement *p, const uint8_t *in, uint8_t *out)
{
    for (int32_t row = 0; row < p->rows; row++) {
        memcpy(out + row * p->stride, in + row * p->length, (size_t)p->length);
    }
}
