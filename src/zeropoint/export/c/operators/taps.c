/* The taps of a window that lie inside an image: 0 <= first + tap * step < length. */
static struct range taps(int32_t first, int32_t step, int32_t kernel, int32_t length)
{
    const int32_t room = length - first; /* to the end of the image */
    struct range inside;
    inside.begin = first < 0 ? (step - 1 - first) / step : 0;
    inside.end = room > 0 ? (room + step - 1) / step : 0;
    if (inside.end > kernel) {
        inside.end = kernel;
    }
    return inside;
}
