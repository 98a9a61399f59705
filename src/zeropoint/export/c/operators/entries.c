/* How many elements, and the code that each of theirs becomes. */
struct entries {
    int32_t size;
    const uint8_t *table;
};
