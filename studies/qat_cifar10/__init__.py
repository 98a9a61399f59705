"""Why did the article's quantization-aware training lose two points?"""
