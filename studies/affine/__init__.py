"""Affine quantization, batch-norm folding and fusion from first principles, after document 001."""
