"""The sums that are kept of one unit over all batches.

A unit's result passes through five stages, and each part of its error is what one of them changes:

    real --inherited-- read --weight-- weighted --bias-- biased --clipping-- clamped --rounding--
    narrowed
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from zeropoint.arithmetic.qparams import QParams
from zeropoint.observe.observation import Observation

SAMPLE = 4096
"""Elements of each batch that are kept as they are."""

PAIRS = 400
"""Elements of the first batch that are kept in float and in integers, for a plot."""


@dataclass(frozen=True)
class Stages:
    """One unit's result: in float, of the operands that integers have, and with each rounding.

    A stage in which nothing happens is the very tensor of the stage before.
    """

    real: Tensor
    read: Tensor
    weighted: Tensor
    biased: Tensor
    clamped: Tensor
    narrowed: Tensor


@dataclass
class Tally:
    """Energies (sums of squares) of one unit, and what else is known of its values.

    `observation` is of the float values, and filled by whoever walks.
    `weight_channels` is the energy of `weight` by channel; `codes` counts how often each code
    occurs; `maxima` is the greatest |y| of each channel in float.
    """

    grid: QParams | None
    channel_axis: int | None
    observation: Observation
    elements: int = 0
    signal: float = 0.0
    total: float = 0.0
    own: float = 0.0
    inherited: float = 0.0
    weight: float = 0.0
    bias: float = 0.0
    clipping: float = 0.0
    rounding: float = 0.0
    saturated: int = 0
    weight_channels: Tensor | None = None
    codes: Tensor | None = None
    maxima: Tensor | None = None
    samples: list[Tensor] = field(default_factory=list)
    pairs: Tensor | None = None

    @property
    def parts(self) -> float:
        """The energies of the unit's own parts, added up."""
        return self.weight + self.bias + self.clipping + self.rounding

    def add(self, stages: Stages) -> None:
        """Count one batch."""
        self.elements += stages.real.numel()
        self.signal += stages.real.square().sum().item()
        self.inherited += _energy(stages.real, stages.read)
        self.bias += _energy(stages.weighted, stages.biased)
        self.rounding += _energy(stages.clamped, stages.narrowed)
        self.own += _energy(stages.read, stages.narrowed)
        self.total += _energy(stages.real, stages.narrowed)
        self._add_weight(stages)
        self._add_grid(stages)
        self._add_channels(stages.real)
        self._add_samples(stages)

    def _add_weight(self, stages: Stages) -> None:
        if stages.weighted is stages.read:
            return
        assert self.channel_axis is not None  # what has weights has channels
        energies = _by_channel((stages.weighted - stages.read).square_(), self.channel_axis).sum(0)
        energies = energies.to(torch.float64)
        self.weight += energies.sum().item()
        known = self.weight_channels
        self.weight_channels = energies if known is None else known + energies

    def _add_grid(self, stages: Stages) -> None:
        if self.grid is None:
            return
        cut = stages.biased - stages.clamped
        self.saturated += int(torch.count_nonzero(cut.abs() > self.grid.scale / 2))
        self.clipping += cut.square_().sum().item()
        codes = (stages.narrowed / self.grid.scale).round_() + (
            self.grid.zero_point - self.grid.low
        )
        count = self.grid.high - self.grid.low + 1
        found = torch.bincount(codes.to(torch.uint8).flatten(), minlength=count)
        self.codes = found if self.codes is None else self.codes + found

    def _add_channels(self, real: Tensor) -> None:
        if self.channel_axis is None:
            return
        rest = [axis for axis in range(real.ndim) if axis != self.channel_axis]
        maxima = torch.maximum(real.amax(rest), -real.amin(rest))
        self.maxima = maxima if self.maxima is None else torch.maximum(self.maxima, maxima)

    def _add_samples(self, stages: Stages) -> None:
        self.samples.append(_strided(stages.real, SAMPLE))
        if self.pairs is None:
            pairs = [_strided(x, PAIRS) for x in (stages.real, stages.narrowed)]
            self.pairs = torch.stack(pairs, 1)


def _energy(before: Tensor, after: Tensor) -> float:
    return 0.0 if before is after else (after - before).square_().sum().item()


def _by_channel(x: Tensor, axis: int) -> Tensor:
    """The tensor as rows of channels (rest, C)."""
    return x.movedim(axis, -1).reshape(-1, x.shape[axis])


def _strided(x: Tensor, count: int) -> Tensor:
    """About `count` elements, a fixed step apart; an odd step meets every channel and column."""
    flat = x.movedim(1, -1).reshape(-1) if x.ndim == 4 else x.reshape(-1)
    return flat[:: (flat.numel() // count) | 1][:count].clone()
