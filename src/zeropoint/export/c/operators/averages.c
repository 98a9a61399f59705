/* The averages of windows over planes in_height x in_width. A multiplier stands for a division, so
   windows of different sizes have different ones: the one at `which`, or the first for all. */
struct averages {
    int32_t planes;
    int32_t in_height, in_width;
    int32_t out_height, out_width;
    const struct range *rows;    /* of each output row */
    const struct range *columns; /* of each output column */
    int32_t in_zero;
    const struct multiplier *multiplier;
    const uint16_t *which; /* for each output of a plane, or NULL */
    struct grid grid;
};
