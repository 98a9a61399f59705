"""Everything that is known of a quantized network, on one page."""
