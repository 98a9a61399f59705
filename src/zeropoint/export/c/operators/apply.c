/* The code of a function at x: codes[i] from thresholds[i - 1] on, up to thresholds[i]. */
static uint8_t apply(int64_t x, int32_t stairs, const int32_t *thresholds, const uint8_t *codes)
{
    int32_t low = 0;
    int32_t high = stairs;
    while (low < high) {
        const int32_t middle = low + (high - low) / 2;
        if (x < thresholds[middle]) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return codes[low];
}
