"""The pictures that scikit-image ships: photographs, a page of text, faces and what is no face.

`page.png` and `text.png` are scanned and photographed text; `lfw_subset.npy` holds 100 faces of
Labeled Faces in the Wild and 100 patches without one, 25x25, gray.
"""

from functools import cache

import numpy as np
import torch
from torch import Tensor

from zoo.packages.installed import folder_of

BRIGHTEST = 255.0
PHOTOGRAPHS = ("astronaut.png", "chelsea.png", "coffee.png", "motorcycle_left.png")
TEXTS = ("page.png", "text.png")


@cache
def picture(name: str) -> Tensor:
    """(3, H, W) in 0..1."""
    from PIL import Image

    with Image.open(folder_of("skimage") / "data" / name) as image:
        pixels = np.asarray(image.convert("RGB"))
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1).float() / BRIGHTEST


def windows(name: str, size: tuple[int, int], count: int, *, seed: int) -> Tensor:
    """(count, 3, *size) cut out of a picture at seeded places; small pictures are repeated."""
    whole = picture(name)
    height, width = size
    repeats = (1, -(-height // whole.shape[1]), -(-width // whole.shape[2]))
    whole = whole.repeat(repeats)
    generator = torch.Generator().manual_seed(seed)
    cut = []
    for _ in range(count):
        top = int(torch.randint(whole.shape[1] - height + 1, (), generator=generator))
        left = int(torch.randint(whole.shape[2] - width + 1, (), generator=generator))
        cut.append(whole[:, top : top + height, left : left + width])
    return torch.stack(cut)


def of_several(names: tuple[str, ...], size: tuple[int, int], count: int, *, seed: int) -> Tensor:
    """(count, 3, *size): windows of each picture in turns."""
    each = -(-count // len(names))
    parts = [windows(name, size, each, seed=seed) for name in names]
    return torch.stack(parts, 1).flatten(0, 1)[:count]


@cache
def faces() -> tuple[Tensor, Tensor]:
    """(200, 1, 25, 25) in 0..1, and for each whether it is a face."""
    patches = np.load(folder_of("skimage") / "data" / "lfw_subset.npy")
    x = torch.from_numpy(patches).float().unsqueeze(1)
    return x, torch.arange(len(x)) < len(x) // 2
