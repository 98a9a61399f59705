/* clamp(round(M_a a + M_b b) + zero, low, high). The multipliers are 2^16 times as great: both
   terms keep 16 fractional bits until they are rounded together. */
static uint8_t requantize_sum(int32_t a, struct multiplier m_a, int32_t b, struct multiplier m_b,
                              const struct grid *grid)
{
    const int64_t fine = saturate(multiply_single(a, m_a)) + saturate(multiply_single(b, m_b));
    return narrow(shift_half_up(fine, 16), grid);
}
