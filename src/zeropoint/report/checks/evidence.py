"""What a check looks at: everything measured about one unit, and what a change of it would gain.

    own error     each part in proportion to the noise simulated for the new grid
    output        N = N_without + r (N_all - N_without)

where r is the share of the unit's own error that is left, N_all the energy of the outputs' error
and N_without what was measured without this unit: exact for r = 0 and r = 1.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from zeropoint.arithmetic.granularity import Granularity, PerChannel
from zeropoint.arithmetic.integer import IntegerType
from zeropoint.arithmetic.qparams import QParams, simulate
from zeropoint.graph.graph import Origin
from zeropoint.graph.op import IntegerOp, Role
from zeropoint.observe.calibrator import grid_over
from zeropoint.observe.error import simulated_error
from zeropoint.observe.min_max import MinMax
from zeropoint.recipe import TensorSpec
from zeropoint.report.analysis.analysis import LayerAnalysis
from zeropoint.report.analysis.finding import Change, Finding
from zeropoint.report.analysis.tally import Tally
from zeropoint.report.checks.in_use import InUse
from zeropoint.simulation import Simulation, Unit

OUTPUT_GAIN_DB = 0.1
OWN_GAIN_DB = 1.0
"""What a change has to gain to be proposed: so much at the outputs, and for the layer itself."""

LARGE_OWN_GAIN_DB = 3.0
"""Or so much for the layer, which greater errors elsewhere may hide from the outputs."""

ENOUGH_DB = 60.0
"""An own SQNR beyond what 8 bits give to data that are not on the grid: nothing to be mended."""

MOST_LEVELS = 3 * 256
"""Images of 8 bits have at most so many different numbers: 256 levels, normalized by channel."""


@dataclass(frozen=True)
class OutputNoise:
    """Energies of the outputs' error: of the whole program, and without one unit."""

    all: float
    without: float

    def gain_db(self, left: float) -> float:
        """What the outputs gain if a share `left` of the unit's own error is left."""
        after = self.without + left * (self.all - self.without)
        return decibels(self.all, after)


@dataclass(frozen=True)
class Evidence:
    """One unit. `key` is the override that changes it and nothing else; None if there is none.

    `origin` is the layer whose recipe the unit follows; `tied` says that its grid is another's.
    """

    unit: Unit
    layer: LayerAnalysis
    tally: Tally
    simulation: Simulation
    outputs: OutputNoise | None
    key: str | None
    origin: Origin
    tied: bool
    spec: TensorSpec | None = None
    """What the recipe in use asks of the grid; None where that is not known."""

    @property
    def grid(self) -> QParams | None:
        """The grid that an override of the unit may change; None if there is none."""
        return None if self.tied or self.key is None else self.tally.grid

    @property
    def is_symmetric(self) -> bool:
        """True for a grid with zero in its middle, unless it is known to be there by chance."""
        assert self.grid is not None  # callers have seen it
        is_middle = int(self.grid.zero_point.item()) == 1 << (self.grid.type.bits - 1)
        return is_middle and (self.spec is None or self.spec.symmetric)

    @property
    def weight(self) -> str | None:
        """The name of the unit's weight; None if it has none, or no override of its own."""
        node = self.unit.node
        if self.unit.is_fence or node is None or self.key is None:
            return None
        assert isinstance(node.op, IntegerOp)  # a unit that is no fence runs in integers
        roles = zip(node.op.roles(len(node.inputs)), node.inputs, strict=True)
        return next((name for role, name in roles if role is Role.WEIGHT), None)

    @property
    def weight_grid(self) -> QParams | None:
        """The grid of the unit's weight."""
        if self.weight is None:
            return None
        return self.simulation.program.graph.values[self.weight].params

    def rows(self) -> Tensor:
        """The weight in float, a row for each output channel (O, K)."""
        assert self.weight is not None  # callers have seen its grid
        weight = self.simulation.graph.constants[self.weight].detach().to(torch.float64)
        return weight.reshape(weight.shape[0], -1)

    def weight_left(self, granularity: Granularity, bits: int) -> float:
        """The share of the error by the weights that is left if they are quantized like this.

        Each output channel's measured error, in proportion to the energy of its weights' error.
        """
        energies = self.tally.weight_channels
        if energies is None or self.tally.weight == 0:
            return 1.0
        rows, name = self.rows(), self.weight
        assert name is not None  # it has an error
        old = (self.simulation.rounded[name].reshape(rows.shape) - rows).square().sum(1)
        per_channel = isinstance(granularity, PerChannel)
        low, high = MinMax().from_rows(
            rows if per_channel else rows.reshape(1, -1), IntegerType(bits, signed=True), True
        )
        type, axis = IntegerType(bits, signed=True), 0 if per_channel else None
        if not per_channel:
            low, high = low[0], high[0]
        new = (simulate(rows, grid_over(low, high, type, True, axis)) - rows).square().sum(1)
        factors = torch.where(old > 0, new / old.clamp(min=1e-300), 0.0)
        return (energies @ factors).item() / self.tally.weight

    def narrowing_left(self, grid: QParams) -> float:
        """The share of the error by clipping and rounding that is left on another grid."""
        assert self.tally.grid is not None  # callers have seen it
        before, after = self._noise_on(self.tally.grid), self._noise_on(grid)
        return after / before if before > 0 else 1.0

    def left(self, *, weight: float = 1.0, bias: float = 1.0, narrowing: float = 1.0) -> float:
        """The share of the unit's own error that is left of these shares of its parts."""
        tally = self.tally
        parts = (tally.weight, tally.bias, tally.clipping + tally.rounding)
        kept = zip(parts, (weight, bias, narrowing), strict=True)
        return sum(part * share for part, share in kept) / sum(parts) if any(parts) else 1.0

    def gain_db(self, left: float) -> float | None:
        """The gain of the outputs if so much of the unit's own error is left."""
        return None if self.outputs is None else self.outputs.gain_db(left)

    def is_worth(self, left: float) -> bool:
        """True if a change that leaves so much of the unit's own error is worth a word."""
        own, output = decibels(1.0, left), self.gain_db(left)
        if self.layer.own_db >= ENOUGH_DB:
            return False
        if own >= LARGE_OWN_GAIN_DB:
            return output is None or output > 0
        return own >= OWN_GAIN_DB and output is not None and output >= OUTPUT_GAIN_DB

    def finding(
        self, check: str, words: tuple[str, str, str], change: Change | None, left: float
    ) -> Finding:
        """A finding about the unit: what, why it matters, what to do."""
        return Finding(
            check,
            self.layer.layer,
            self.layer.value,
            *words,
            change=change,
            own_gain_db=decibels(1.0, left),
            output_gain_db=self.gain_db(left),
        )

    def _noise_on(self, grid: QParams) -> float:
        """The mean squared error of the unit's float values on a grid."""
        sample = torch.cat(self.tally.samples)
        if self.unit.is_fence and len(levels(sample)) <= MOST_LEVELS:
            # A histogram spreads the levels of pixels evenly; whether a grid holds them is all.
            return (simulate(sample, grid) - sample).square().mean().item()
        return simulated_error(self.tally.observation, grid)


@dataclass(frozen=True)
class Case:
    """All units of a network, in order."""

    simulation: Simulation
    units: tuple[Evidence, ...]
    used: InUse | None = None
    """The recipe in use; None where the program does not tell."""

    def is_news(self, finding: Finding) -> bool:
        """False for a finding whose change would change nothing."""
        return self.used is None or self.used.is_news(finding)

    def unit(self, value: str) -> Evidence | None:
        """The evidence about a value; None if it is no unit."""
        return next((evidence for evidence in self.units if evidence.unit.value == value), None)


def levels(sample: Tensor) -> Tensor:
    """The different numbers in a sample, in order."""
    found: Tensor = sample.unique()  # type: ignore[no-untyped-call]  # of torch
    return found


def decibels(before: float, after: float) -> float:
    """How much less there is after than before, in decibels."""
    if before == after:
        return 0.0
    if before <= 0 or after <= 0:
        return math.inf if after <= 0 else -math.inf
    return 10 * math.log10(before / after)
