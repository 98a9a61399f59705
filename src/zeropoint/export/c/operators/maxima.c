/* The greatest elements of windows over planes in_height x in_width. */
struct maxima {
    int32_t planes;
    int32_t in_height, in_width;
    int32_t out_height, out_width;
    int32_t kernel_height, kernel_width;
    int32_t stride_y, stride_x;
    int32_t padding_y, padding_x;
    int32_t dilation_y, dilation_x;
    int32_t low; /* for a window that sees nothing but padding */
};
