/* A tensor of extents `in` that begins `before` elements into one of extents `out`. */
struct padding {
    int32_t in[4];
    int32_t out[4];
    int32_t before[4];
    int32_t zero;
};
