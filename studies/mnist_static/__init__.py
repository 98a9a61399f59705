"""Post-training static quantization of an MNIST network, after document 003."""
