/* M x, rounded twice as in gemmlowp and TFLite: half up to an integer of 31 bits, then half away
   from zero. */
static int64_t multiply_double(int32_t x, struct multiplier m)
{
    const int64_t left = saturate(x * ((int64_t)1 << (m.exponent > 0 ? m.exponent : 0)));
    const int64_t high = shift_half_up(left * m.mantissa, 31);
    return m.exponent < 0 ? shift_half_away(high, -m.exponent) : high;
}
