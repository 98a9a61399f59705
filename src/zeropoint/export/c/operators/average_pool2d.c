/* Average pooling, rounded once. */
static void average_pool2d(const struct averages *p, const uint8_t *in, uint8_t *out)
{
    for (int32_t plane = 0; plane < p->planes; plane++) {
        for (int32_t y = 0; y < p->out_height; y++) {
            for (int32_t x = 0; x < p->out_width; x++) {
                const int32_t which = p->which ? p->which[y * p->out_width + x] : 0;
                int32_t sum = 0;
                for (int32_t i = p->rows[y].begin; i < p->rows[y].end; i++) {
                    for (int32_t j = p->columns[x].begin; j < p->columns[x].end; j++) {
                        sum += in[i * p->in_width + j] - p->in_zero;
                    }
                }
                *out++ = requantize(sum, p->multiplier[which], &p->grid);
            }
        }
        in += p->in_height * p->in_width;
    }
}
