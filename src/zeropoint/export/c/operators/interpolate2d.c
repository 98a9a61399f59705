/* Bilinear interpolation, rounded once. */
static void interpolate2d(const struct interpolation *p, const uint8_t *in, uint8_t *out)
{
    for (int32_t plane = 0; plane < p->planes; plane++) {
        for (int32_t y = 0; y < p->out_height; y++) {
            const struct tap row = p->rows[y];
            for (int32_t x = 0; x < p->out_width; x++) {
                const struct tap column = p->columns[x];
                const int32_t sum
                    = interpolated_row(p, in, row.before, column) * (p->row_parts - row.share)
                    + interpolated_row(p, in, row.after, column) * row.share;
                *out++ = requantize(sum, p->multiplier, &p->grid);
            }
        }
        in += p->in_height * p->in_width;
    }
}
