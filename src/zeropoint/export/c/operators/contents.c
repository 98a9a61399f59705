/* The elements of a constant. */
struct contents {
    int32_t size;
    const uint8_t *values;
};
