"""Channels of activations, brought to like sizes: which may be scaled, and how far."""
