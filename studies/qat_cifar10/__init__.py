"""Why the article's quantization-aware training lost two points."""
