/* x, or the end of int32_t that it lies beyond. */
static int64_t saturate(int64_t x)
{
    if (x < INT32_MIN) {
        return INT32_MIN;
    }
    return x > INT32_MAX ? INT32_MAX : x;
}
