"""Quantization of a LeNet on CIFAR-10, step by step in integers, after document 002."""
