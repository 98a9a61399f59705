"""Operators of torch that zeropoint keeps float, in ONNX: one file a family, each with `RULES`."""
