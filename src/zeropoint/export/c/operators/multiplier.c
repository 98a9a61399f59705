/* A real multiplier M = mantissa * 2^(exponent - 31); 2^30 <= mantissa < 2^31, or 0 for M = 0. */
struct multiplier {
    int32_t mantissa;
    int32_t exponent;
};
