/* The code of a number of steps from zero, saturated. */
static uint8_t narrow(int64_t steps, const struct grid *grid)
{
    const int64_t code = steps + grid->zero;
    if (code < grid->low) {
        return (uint8_t)grid->low;
    }
    return (uint8_t)(code > grid->high ? grid->high : code);
}
