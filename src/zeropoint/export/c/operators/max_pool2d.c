/* Maximum pooling. */
static void max_pool2d(const struct maxima *p, const uint8_t *in, uint8_t *out)
{
    for (int32_t plane = 0; plane < p->planes; plane++) {
        for (int32_t y = 0; y < p->out_height; y++) {
            for (int32_t x = 0; x < p->out_width; x++) {
                *out++ = maximum(p, in, y, x);
            }
        }
        in += p->in_height * p->in_width;
    }
}
