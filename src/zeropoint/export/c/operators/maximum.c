/* The greatest element of the window at the output (y, x) of one plane. */
static uint8_t maximum(const struct maxima *p, const uint8_t *plane, int32_t y, int32_t x)
{
    const int32_t top = y * p->stride_y - p->padding_y;
    const int32_t left = x * p->stride_x - p->padding_x;
    const struct range rows = taps(top, p->dilation_y, p->kernel_height, p->in_height);
    const struct range columns = taps(left, p->dilation_x, p->kernel_width, p->in_width);
    uint8_t greatest = (uint8_t)p->low;
    for (int32_t i = rows.begin; i < rows.end; i++) {
        for (int32_t j = columns.begin; j < columns.end; j++) {
            const int32_t row = top + i * p->dilation_y;
            const uint8_t code = plane[row * p->in_width + left + j * p->dilation_x];
            greatest = code > greatest ? code : greatest;
        }
    }
    return greatest;
}
