"""Real tensors to quantize, from scikit-learn."""

import torch
from sklearn.datasets import load_digits, load_sample_image
from torch import Tensor

RIDGE = 1.0
CLASSES = 10
BRIGHTEST_INK, BRIGHTEST_PIXEL = 16, 255
LUMINANCE = (0.299, 0.587, 0.114)  # ITU-R BT.601


def photograph() -> Tensor:
    """Scikit-learn's picture of a flower, (1, 3, 427, 640) in 0..1."""
    pixels = torch.tensor(load_sample_image("flower.jpg"))  # (427, 640, 3)
    return (pixels.float() / BRIGHTEST_PIXEL).permute(2, 0, 1).unsqueeze(0)


def luminance() -> Tensor:
    """The photograph without its colours, (427, 640): no pixel of it is black."""
    weights = torch.tensor(LUMINANCE).view(1, 3, 1, 1)
    return (photograph() * weights).sum(1).squeeze(0)


def digit_weights() -> Tensor:
    """The weights (10, 64) of a linear classifier of the handwritten digits.

    Ridge regression onto one-hot labels, in closed form and float64: no training, so that every
    machine finds the same.
    """
    digits = load_digits()
    x = torch.tensor(digits.data, dtype=torch.float64) / BRIGHTEST_INK  # (1797, 64)
    x = x - x.mean(0)
    y = torch.nn.functional.one_hot(torch.tensor(digits.target), CLASSES).double()
    gram = x.T @ x + RIDGE * torch.eye(x.shape[1], dtype=torch.float64)
    weights: Tensor = torch.linalg.solve(gram, x.T @ y)
    return weights.T.float().contiguous()
