/* x / 2^bits, rounded half up, 1 <= bits <= 62. What >> makes of a negative number is left to the
   compiler by C99, so it is only used on others: ~x is -x - 1. */
static int64_t shift_half_up(int64_t x, int32_t bits)
{
    x += (int64_t)1 << (bits - 1);
    return x >= 0 ? x >> bits : ~(~x >> bits);
}
