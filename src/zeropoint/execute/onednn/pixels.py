"""Pixel shuffle of tensors in channels_last, to few channels."""

from torch import Tensor


def pixel_shuffle(x: Tensor, factor: int) -> Tensor:
    """(N, C r^2, H, W) in channels_last to (N, C, r H, r W), in one copy."""
    batch, channels, height, width = x.shape
    pixels = x.permute(0, 2, 3, 1).reshape(batch, height, width, -1, factor, factor)
    planes = pixels.permute(0, 3, 1, 4, 2, 5)  # (N, C, H, r, W, r)
    return planes.reshape(batch, channels // factor**2, height * factor, width * factor)
