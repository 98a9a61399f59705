/* Positions from begin, inclusive, to end, exclusive. */
struct range {
    int32_t begin;
    int32_t end;
};
