/* x / 2^bits, rounded half away from zero, 1 <= bits <= 31. */
static int64_t shift_half_away(int64_t x, int32_t bits)
{
    const int64_t half = (int64_t)1 << (bits - 1);
    return x >= 0 ? (x + half) >> bits : -((half - x) >> bits);
}
