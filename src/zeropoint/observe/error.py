"""What a grid would do to the data of an observation, without the data: the simulated error.

Within a bin the data count as spread evenly, so the error is an integral, and has a closed form.
With u = x / s, k = clamp(round(u), low - z, high - z) and r = u - k,

    integral of |x - Q(x)|^p dx  =  s^(p + 1) F(u)
    F(u) = k 2^-p / (p + 1)  +  sign(r) |r|^(p + 1) / (p + 1)

which holds between the steps and beyond the ends of the grid, where r grows: that is clipping. The
middle of each bin would not do: where bins are as wide as steps, all of them may lie on the grid
and the error seem to be zero. Exact zeros have no error on any grid and are left out; so is the
width of a first or last bin beyond the data.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from zeropoint.arithmetic.qparams import QParams, simulate
from zeropoint.observe.observation import Observation

CHUNK = 1 << 18
"""Numbers in a piece of work: its temporaries stay in cache."""


@dataclass(frozen=True)
class Density:
    """The data of an observation as a step function, divided by the greatest |x|.

    The density between edge i and i + 1 is the sum of `steps` up to i, as a share of all data in a
    unit of x; `points` are places with a share of the data and no width. Zeros are in neither.
    """

    unit: float
    edges: Tensor
    steps: Tensor
    points: Tensor
    shares: Tensor

    @classmethod
    def of(cls, observation: Observation, merged: int = 1) -> "Density":
        """From the histogram, with so many neighbours merged into one bin."""
        histogram = observation.histogram
        unit = max(-observation.low, observation.high) or 1.0
        edges = histogram.edges().clamp(observation.low, observation.high)
        counts = histogram.counts.to(torch.float64)
        if histogram.zeros:
            counts[-histogram.first] -= histogram.zeros  # the bin that begins at zero
        if merged > 1:
            edges = edges[::merged]
            counts = counts.reshape(-1, merged).sum(1)
        shares, width = counts / max(observation.total, 1), edges.diff() / unit
        flat = (width <= 0) & (counts > 0)  # all the data of the bin are at its edge
        heights = torch.where(width > 0, shares / width, 0.0)
        steps = heights.diff(prepend=heights.new_zeros(1), append=heights.new_zeros(1))
        used = steps != 0
        points = edges[:-1][flat] / unit
        return cls(unit, edges[used] / unit, steps[used], points, shares[flat])

    def moments(self) -> tuple[float, float]:
        """The mean of x and of x^2 over all data, zeros included."""
        mean = self.shares @ self.points - self.steps @ self.edges.square() / 2
        square = self.shares @ self.points.square() - self.steps @ self.edges.pow(3) / 3
        return mean.item() * self.unit, max(square.item(), 0.0) * self.unit**2

    def error(self, params: QParams, p: float = 2.0) -> Tensor:
        """The mean of |x - Q(x)|^p, in units of unit^p, on each of the grids (C,) or on one ()."""
        # From a step of 4 on everything is zero: |x| <= 1. No power of it overflows.
        scale = (params.scale.to(torch.float64) / self.unit).clamp(max=4.0).reshape(-1, 1)
        lowest = (params.low - params.zero_point).reshape(-1, 1).to(torch.float64)
        highest = (params.high - params.zero_point).reshape(-1, 1).to(torch.float64)
        rows = max(CHUNK // max(len(self.edges), 1), 1)
        grids = (torch.split(x, rows) for x in (scale, lowest, highest))
        parts = [
            self._spread(step, lowest, highest, p) + self._points(step, lowest, highest, p)
            for step, lowest, highest in zip(*grids, strict=True)
        ]
        return torch.cat(parts).clamp_(min=0.0).reshape(params.scale.shape)

    def _spread(self, scale: Tensor, lowest: Tensor, highest: Tensor, p: float) -> Tensor:
        """Summed by parts: each edge counts with how much the density changes there."""
        u = self.edges / scale
        k = torch.round(u).clamp_(lowest, highest)
        r = u.sub_(k).mul_(scale)
        tails = r * r * r if p == 2 else r.abs().pow_(p + 1).mul_(r.sign())
        return -(k.mul_(2**-p * scale ** (p + 1)).add_(tails) @ self.steps) / (p + 1)

    def _points(self, scale: Tensor, lowest: Tensor, highest: Tensor, p: float) -> Tensor:
        on_grid = torch.round(self.points / scale).clamp_(lowest, highest) * scale
        return (on_grid - self.points).abs().pow(p) @ self.shares


def simulated_error(observation: Observation, params: QParams) -> float:
    """The mean of (x - Q(x))^2 over the data of an observation on the grid `params`."""
    density = Density.of(observation)
    return density.error(params).item() * density.unit**2


def simulated_sqnr(observation: Observation, params: QParams) -> float:
    """The signal to quantization noise ratio of an observation on a grid (per tensor), in decibels.

    10 log10 of the data's mean square over that of their error: 6 dB a bit. Infinite if nothing is
    lost, as of zeros; it is computed from the histogram, within some tenths of a decibel of what
    the data themselves give if they fill their bins evenly.

    >>> import torch
    >>> from zeropoint.arithmetic.qparams import per_tensor
    >>> from zeropoint.arithmetic.integer import UINT8
    >>> observation = Observation()
    >>> observation.add(torch.linspace(0, 1, 10_000))
    >>> round(simulated_sqnr(observation, per_tensor(1 / 255, 0, UINT8)), 1)
    54.2
    """
    density = Density.of(observation)
    _, signal = density.moments()
    return sqnr_db(signal / density.unit**2, density.error(params).item())


def sqnr_db(signal: float, noise: float) -> float:
    """Decibels of a signal's power over that of its error: infinite without an error.

    >>> sqnr_db(100.0, 1.0)
    20.0
    """
    if noise == 0:
        return math.inf
    return 10 * math.log10(signal / noise) if signal else -math.inf


def mean_error(rows: Tensor, params: QParams, p: float = 2.0) -> Tensor:
    """The mean of |x - Q(x)|^p over each row (R, K), on its own grid, divided by max |x|^p."""
    unit = rows.abs().amax(1, keepdim=True)
    error = simulate(rows, params).sub_(rows).div_(torch.where(unit > 0, unit, 1.0))
    return (error.square_() if p == 2 else error.abs_().pow_(p)).mean(1)
