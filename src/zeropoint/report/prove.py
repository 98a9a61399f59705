"""prove(): what can be said of a program's sums for every input there is, without running it.

int32      no accumulator and no partial sum of it leaves int32, whatever the order; the bias
           fits with it. Where the length of a sum depends on the size of the image, up to which
           length that holds (program/reach.py)
int16      on CPUs without VNNI, the kernels of onednn and openvino add two products in 16 bits:
           the channels in which that can saturate, and what mends it: weights of 7 bits there,
           twice the scale. onnxruntime, whose weights are unsigned there, needs none of that

Nothing is measured here: whether an engine computes the same integers is what `verify` counts.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import RenderableType

from zeropoint.arithmetic.bounds import saturating_pairs
from zeropoint.graph.graph import Node
from zeropoint.graph.op import IntegerOp
from zeropoint.model import QuantizedModel
from zeropoint.ops.quantize import Quantize
from zeropoint.program.program import Program
from zeropoint.program.reach import Reach, reach_of
from zeropoint.render import as_text, lines, table

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
        return bits_of(self.largest_accumulator)


@dataclass(frozen=True)
class SumBound:
    """An operator without weights: no sum of `count` integers, each at most `each`, is greater.

    `count` says how many there are, in sizes of the image where these vary; `largest` is None then.
    Up to `most` integers the sum fits int32.
    """

    value: str
    layer: str
    operator: str
    each: int
    count: str
    largest: int | None
    most: int

    @property
    def fits(self) -> bool:
        """True if the sum fits int32: of any length up to `most`, where its length varies."""
        return self.largest is None or self.largest <= INT32_LARGEST


def bits_of(largest: int) -> int:
    """The width of a signed integer that holds every number of at most this magnitude."""
    return max(1, math.ceil(math.log2(largest + 1))) + 1


@dataclass(frozen=True)
class Proof:
    """A bound for each layer with weights, and one for each other operator that computes."""

    bounds: tuple[Bound, ...]
    sums: tuple[SumBound, ...] = ()

    @property
    def fits_int32(self) -> bool:
        """True if no accumulator can overflow, for images up to the sizes in `limits`."""
        layers = all(bound.largest_accumulator <= INT32_LARGEST for bound in self.bounds)
        return layers and all(bound.fits for bound in self.sums)

    @property
    def limits(self) -> tuple[SumBound, ...]:
        """The sums that grow with the image: the proof holds while none has more than `most`."""
        return tuple(bound for bound in self.sums if bound.largest is None)

    @property
    def needs_vnni(self) -> bool:
        """True if some channel can saturate where two products are added in 16 bits."""
        return any(bound.saturating for bound in self.bounds)

    def to_dict(self) -> dict[str, Any]:
        """The same as JSON data."""
        return {**asdict(self), "fits_int32": self.fits_int32, "needs_vnni": self.needs_vnni}

    def __rich__(self) -> RenderableType:
        head = ("layer", "largest |accumulator|", "of int32", "largest |bias|", "16-bit pairs")
        rows = [*map(_layer_row, self.bounds), *map(_sum_row, self.sums)]
        verdict = f"{_about_sums(self)} {_about_pairs(self)}"
        return lines(table(head, rows), verdict, NOT_MEASURED)

    def __str__(self) -> str:
        return as_text(self.__rich__())


NOT_MEASURED = "This is about overflow; how engines round is measured by zeropoint.verify."


def prove(q: QuantizedModel) -> Proof:
    """Bounds on every accumulator of the program, from its weights and grids alone."""
    program = q.program
    computing = ((node, _reach(program, node)) for node in program.graph.nodes)
    sums = tuple(_sum_bound(node, reach) for node, reach in computing if reach is not None)
    return Proof(tuple(_bound(program, node) for node in program.weighted_nodes()), sums)


def _reach(program: Program, node: Node) -> Reach | None:
    """None for islands, fences, layers with weights, and what only moves or scales codes."""
    if not program.is_integer(node) or isinstance(node.op, Quantize):
        return None
    if not isinstance(node.op, IntegerOp):
        return None  # arithmetic of sizes
    reach = reach_of(program.graph, node)
    return reach if reach and reach.accumulates else None


def _sum_bound(node: Node, reach: Reach) -> SumBound:
    layer, name = node.origin.layer, node.op.name
    count = str(reach.count)
    return SumBound(node.output, layer, name, reach.each, count, reach.largest, reach.most)


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


def _layer_row(bound: Bound) -> tuple[str, ...]:
    count = len(bound.saturating)
    return (
        bound.layer or bound.value,
        f"{bound.largest_accumulator:,}",
        f"{bound.bits} bits",
        f"{bound.largest_bias:,}",
        f"{count} of {bound.channels} channels can saturate" if count else "fit",
    )


def _sum_row(bound: SumBound) -> tuple[str, ...]:
    name = f"{bound.layer or bound.value} ({bound.operator})"
    if bound.largest is None:
        return (name, f"{bound.each:,} x {bound.count}", f"up to {bound.most:,} integers", "", "")
    return (name, f"{bound.largest:,}", f"{bits_of(bound.largest)} bits", "", "")


def _about_sums(proof: Proof) -> str:
    if not proof.fits_int32:
        return "int32 can overflow."
    if not proof.limits:
        return "No accumulator can overflow int32."
    tightest = min(proof.limits, key=lambda bound: bound.most)
    return (
        f"No accumulator can overflow int32 in inputs of up to {tightest.most:,} integers a sum: "
        f"{tightest.layer or tightest.value} adds {tightest.count}."
    )


def _about_pairs(proof: Proof) -> str:
    if not proof.needs_vnni:
        return "Two products always fit 16 bits: no kernel saturates, with or without VNNI."
    count = sum(len(bound.saturating) for bound in proof.bounds)
    total = sum(bound.channels for bound in proof.bounds)
    return (
        f"Without VNNI, {count:,} of {total:,} channels can saturate in onednn and openvino: "
        "quantized for these on such a machine they get 7-bit weights; in onnxruntime none does."
    )
