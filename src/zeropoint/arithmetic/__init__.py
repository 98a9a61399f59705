"""Numbers only: integer types, quantization parameters, requantization. No graph, no nn.Module."""
