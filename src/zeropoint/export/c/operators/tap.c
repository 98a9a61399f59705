/* A position between two elements: so many parts of it come from the one after it. */
struct tap {
    int32_t before;
    int32_t after;
    int32_t share;
};
