/* What is the same at every run. */
static void fill(const struct contents *p, uint8_t *out)
{
    for (int32_t i = 0; i < p->size; i++) {
        out[i] = p->values[i];
    }
}
