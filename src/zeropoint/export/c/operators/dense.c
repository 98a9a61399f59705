/* A linear layer; the weights are out_features x in_features. */
struct dense {
    int32_t rows;
    int32_t in_features;
    int32_t out_features;
    int32_t in_zero;
    const weight_t *weight;
    const int32_t *bias;
    const struct multiplier *multiplier; /* one for each output feature */
    struct grid grid;
    int32_t stairs; /* of a function: how many, where they are, and the codes between them */
    const int32_t *thresholds;
    const uint8_t *codes;
};
