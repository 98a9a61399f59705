"""What the networks are fed: real images where there are any, structured signals elsewhere.

    images         (C, H, W)      CIFAR-10 scaled up; gray where C is 1
    clips          (C, D, H, W)   the same, a window that wanders over each image
    sounds         (C, L)         voices: harmonics of a wandering pitch, and pink noise
    spectrograms   (1, F, T)      the logarithm of the voices' energies in F bands
    bands          (F, T)         the same, for networks that take bands for channels
    frames         (T, F)         the same, time first
    noise          any            standard normal, for generators

White noise for an image would not do: `benchmarks.images` tells why. Every function takes the
shape of one sample, a count and a split: calibration sees `train`, evaluation sees `test`.
"""

import itertools
import math
from collections.abc import Callable
from functools import cache
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional

from benchmarks.images import images as seeded_images
from studies.cifar10 import dataset, normalized
from zeropoint.data import Preparation, open_data

Inputs = Callable[[tuple[int, ...], int, str], Tensor]

CACHE = Path(__file__).parents[1] / ".cache" / "zoo" / "images"
STORED = 256
"""Images of each split that are decoded and kept."""

SEEDS = {"train": 1, "test": 2}
SAMPLE_RATE = 16_000
LARGEST_HARMONIC = 7_000.0
HOP = 160


def images(shape: tuple[int, ...], count: int, split: str) -> Tensor:
    """(count, C, H, W): photographs of ten kinds of things, mean 0 and deviation 1 or so.

    Where CIFAR-10 is not to be found: the seeded images of the benchmarks.
    """
    channels, height, width = shape
    pixels = stored(split)
    if pixels is None or channels not in (1, 3):
        return seeded_images((channels, height, width), count, seed=SEEDS[split])
    while len(pixels) < count:
        pixels = torch.cat([pixels, pixels.flip(-1)])
    x = normalized(pixels[:count]).contiguous()
    if channels == 1:
        x = x.mean(1, keepdim=True)
    scaled = functional.interpolate(x, size=(height, width), mode="bicubic", antialias=True)
    return scaled.contiguous()


@cache
def stored(split: str) -> Tensor | None:
    """`STORED` images of the split, (N, 3, 32, 32) uint8; None where there are none."""
    file = CACHE / f"{split}.safetensors"
    if not file.exists():
        source = dataset(split)
        if not Path(source).exists():
            return None
        as_pixels = Preparation(mean=(0.0,) * 3, std=(1.0,) * 3)
        batches = open_data(source, preparation=as_pixels, samples=STORED, shuffle_seed=0)
        pixels = torch.cat([x for x, _ in batches])
        file.parent.mkdir(parents=True, exist_ok=True)
        save_file({"pixels": (pixels * 255).round().to(torch.uint8)}, file)
    return load_file(file)["pixels"]


def clips(shape: tuple[int, ...], count: int, split: str) -> Tensor:
    """(count, C, D, H, W): a window of 4/5 of an image's side that wanders along its diagonal."""
    channels, depth, height, width = shape
    rows, columns = height + height // 4, width + width // 4
    still = images((channels, rows, columns), count, split)
    frames = []
    for number in range(depth):
        share = number / max(1, depth - 1)
        top, left = round(share * (rows - height)), round(share * (columns - width))
        frames.append(still[:, :, top : top + height, left : left + width])
    return torch.stack(frames, 2)


def sounds(shape: tuple[int, ...], count: int, split: str) -> Tensor:
    """(count, C, L) at 16 kHz: harmonics of a pitch with vibrato, in syllables, over pink noise."""
    channels, length = shape
    generator = torch.Generator().manual_seed(SEEDS[split])
    rows = count * channels
    time = torch.arange(length) / SAMPLE_RATE
    pitch = 80 * 2 ** (2.5 * torch.rand(rows, 1, generator=generator))
    phase = 2 * math.pi * torch.rand(rows, 1, generator=generator)
    vibrato = 1 + 0.03 * torch.sin(2 * math.pi * 5.5 * time + phase)  # (rows, L)
    angle = 2 * math.pi * torch.cumsum(pitch * vibrato, 1) / SAMPLE_RATE
    voice = torch.zeros(rows, length)
    for harmonic in range(1, 24):
        strength = torch.rand(rows, 1, generator=generator) / harmonic
        audible = (harmonic * pitch < LARGEST_HARMONIC).float()
        voice += audible * strength * torch.sin(harmonic * angle)
    syllables = (0.5 + 0.5 * torch.sin(2 * math.pi * 3 * time + phase)).square()
    total = voice * syllables + 0.1 * pink(rows, length, generator)
    return (total / total.std(1, keepdim=True)).reshape(count, channels, length)


def pink(rows: int, length: int, generator: torch.Generator) -> Tensor:
    """(rows, length) noise whose power falls as 1 / f, of deviation 1."""
    spectrum = torch.fft.rfft(torch.randn(rows, length, generator=generator))
    falling = torch.arange(spectrum.shape[1]).clamp(min=1).rsqrt()
    noise = torch.fft.irfft(spectrum * falling, length)
    standardized: Tensor = noise / noise.std(1, keepdim=True)
    return standardized


def bands(shape: tuple[int, ...], count: int, split: str) -> Tensor:
    """(count, F, T): log energies in F bands, narrow ones for low sounds, mean 0, deviation 1."""
    number, frames = shape
    samples = sounds((1, HOP * (frames - 1)), count, split).squeeze(1)
    window = torch.hann_window(512)
    spectrum = torch.stft(samples, 512, HOP, window=window, return_complex=True)  # (N, 257, T)
    edges = torch.logspace(0.5, math.log10(spectrum.shape[1]), number + 1).round().int().tolist()
    parts = [
        spectrum[:, low : max(high, low + 1)].abs().square().sum(1)
        for low, high in itertools.pairwise(edges)
    ]
    energies = torch.log(torch.stack(parts, 1) + 1e-3)
    return (energies - energies.mean()) / energies.std()


def spectrograms(shape: tuple[int, ...], count: int, split: str) -> Tensor:
    """(count, 1, F, T): `bands` as images."""
    _, number, frames = shape
    return bands((number, frames), count, split).unsqueeze(1)


def frames(shape: tuple[int, ...], count: int, split: str) -> Tensor:
    """(count, T, F): `bands`, time first."""
    number, width = shape
    return bands((width, number), count, split).transpose(1, 2).contiguous()


def noise(shape: tuple[int, ...], count: int, split: str) -> Tensor:
    """(count, *shape), standard normal."""
    generator = torch.Generator().manual_seed(SEEDS[split])
    return torch.randn(count, *shape, generator=generator)
