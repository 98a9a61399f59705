/* M x, rounded once, half up. */
static int64_t multiply_single(int32_t x, struct multiplier m)
{
    return shift_half_up((int64_t)x * m.mantissa, 31 - m.exponent);
}
