"""prove(): what can be said of a program's sums for every input there is, without running it.

int32      no accumulator and no partial sum of it leaves int32, whatever the order; the bias
           fits with it
int16      on CPUs without VNNI, kernels add two products in 16 bits: the channels in which that
           can saturate, and what mends it: weights of 7 bits there, twice the scale
"""

import math
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table

from zeropoint.arithmetic.bounds import saturating_pairs
from zeropoint.graph.graph import Node
from zeropoint.model import QuantizedModel
from zeropoint.program.program import Program
from zeropoint.render import as_text

INT32_LARGEST = 2**31 - 1


@dataclass(frozen=True)
class Bound:
    """One layer: what its widest channel can reach, and the channels whose pairs can saturate."""

    value: str
    layer: str
    channels: int
    largest_accumulator: int
    largest_bias: int
    saturating: tuple[int, ...]

    @property
    def bits(self) -> int:
        """The width of a signed integer that holds every accumulator of the layer."""
        return max(1, math.ceil(math.log2(self.largest_accumulator + 1))) + 1


@dataclass(frozen=True)
class Proof:
    """A bound for each layer with weights."""

    bounds: tuple[Bound, ...]

    @property
    def fits_int32(self) -> bool:
        """True if no accumulator can overflow."""
        return all(bound.largest_accumulator <= INT32_LARGEST for bound in self.bounds)

    @property
    def needs_vnni(self) -> bool:
        """True if some channel can saturate where two products are added in 16 bits."""
        return any(bound.saturating for bound in self.bounds)

    def to_dict(self) -> dict[str, Any]:
        """The same as JSON data."""
        return {**asdict(self), "fits_int32": self.fits_int32, "needs_vnni": self.needs_vnni}

    def __rich__(self) -> RenderableType:
        table = Table(
            "layer", "largest |accumulator|", "of int32", "largest |bias|", "16-bit pairs"
        )
        for bound in self.bounds:
            count = len(bound.saturating)
            pairs = f"{count} of {bound.channels} channels can saturate" if count else "fit"
            table.add_row(
                bound.layer or bound.value,
                f"{bound.largest_accumulator:,}",
                f"{bound.bits} bits",
                f"{bound.largest_bias:,}",
                pairs,
            )
        verdict = "No accumulator can overflow int32." if self.fits_int32 else "int32 can overflow."
        return Group(table, f"{verdict} {_about_pairs(self)}")

    def __str__(self) -> str:
        return as_text(self.__rich__())


def prove(q: QuantizedModel) -> Proof:
    """Bounds on every accumulator of the program, from its weights and grids alone."""
    program = q.program
    return Proof(tuple(_bound(program, node) for node in program.weighted_nodes()))


def _bound(program: Program, node: Node) -> Bound:
    x = program.graph.values[node.inputs[0]].params
    assert x is not None  # integer nodes read integers
    rows = program.weight_rows(node)
    saturating = saturating_pairs(rows, x.high).nonzero().flatten()
    return Bound(
        value=node.output,
        layer=node.origin.layer,
        channels=len(rows),
        largest_accumulator=int(program.accumulator_range(node).largest.max()),
        largest_bias=int(program.graph.constants[node.inputs[2]].abs().max()),
        saturating=tuple(saturating.tolist()),
    )


def _about_pairs(proof: Proof) -> str:
    if not proof.needs_vnni:
        return "Any engine is exact, with or without VNNI."
    count = sum(len(bound.saturating) for bound in proof.bounds)
    total = sum(bound.channels for bound in proof.bounds)
    return (
        f"Without VNNI, {count:,} of {total:,} channels can saturate; quantized on such a machine "
        "they get 7-bit weights."
    )
