/* The table's entry for each element. */
static void lookup(const struct entries *p, const uint8_t *in, uint8_t *out)
{
    for (int32_t i = 0; i < p->size; i++) {
        out[i] = p->table[in[i]];
    }
}
