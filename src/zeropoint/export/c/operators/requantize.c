/* clamp(round(M x) + zero, low, high) */
static uint8_t requantize(int32_t x, struct multiplier m, const struct grid *grid)
{
    return narrow(multiply_ROUNDING(x, m), grid);
}
