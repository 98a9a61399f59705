/* One row of a plane between two columns, in parts of a column. */
static int32_t interpolated_row(const struct interpolation *p, const uint8_t *plane, int32_t row,
                                struct tap column)
{
    const uint8_t *in = plane + row * p->in_width;
    return (in[column.before] - p->in_zero) * (p->column_parts - column.share)
        + (in[column.after] - p->in_zero) * column.share;
}
