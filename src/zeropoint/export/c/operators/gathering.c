/* The extents of the output, and for each of them as many offsets into the input. */
struct gathering {
    int32_t extent[4];
    const int32_t *offset;
};
