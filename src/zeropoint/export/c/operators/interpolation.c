/* Planes in_height x in_width to another size; a row has row_parts parts, a column column_parts. */
struct interpolation {
    int32_t planes;
    int32_t in_height, in_width;
    int32_t out_height, out_width;
    const struct tap *rows;    /* of each output row */
    const struct tap *columns; /* of each output column */
    int32_t row_parts, column_parts;
    int32_t in_zero;
    struct multiplier multiplier;
    struct grid grid;
};
