"""The photographs, in place of the blog's webcam: scikit-learn ships two of 640 x 427 pixels."""

import torch
from torch import Tensor

PHOTOGRAPHS = ("china.jpg", "flower.jpg")
BRIGHTEST = 255
LUMA = (0.114, 0.587, 0.299)
"""Of blue, green and red: ITU-R BT.601."""


def colour(name: str = PHOTOGRAPHS[0]) -> Tensor:
    """(1, 3, 427, 640) in 0..1, blue first: what `cv2` reads and the blog divides by 255."""
    from sklearn.datasets import load_sample_image

    pixels = torch.from_numpy(load_sample_image(name).copy())  # (H, W, RGB) uint8
    return pixels.flip(-1).permute(2, 0, 1).unsqueeze(0).to(torch.float32) / BRIGHTEST


def grey(name: str = PHOTOGRAPHS[0]) -> Tensor:
    """(1, 1, 427, 640) in 0..1."""
    weights = torch.tensor(LUMA).reshape(1, 3, 1, 1)
    return (colour(name) * weights).sum(1, keepdim=True)
