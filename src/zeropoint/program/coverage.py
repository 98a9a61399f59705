"""How much of a network runs in integers, and what stayed float, by name and reason."""

from dataclasses import asdict, dataclass
from typing import Any

from rich.console import RenderableType

from zeropoint.graph.graph import Node
from zeropoint.graph.op import IntegerOp, Op, Role
from zeropoint.ops.allowed import PRODUCTS, RECURRENT, SPECTRA
from zeropoint.ops.opaque import Opaque
from zeropoint.ops.quantize import Dequantize, Quantize
from zeropoint.ops.title import title
from zeropoint.program.program import Program
from zeropoint.render import as_text, lines, table

MULTIPLYING = frozenset(f"{PRODUCTS} {RECURRENT} {SPECTRA}".split())
"""Operators of torch that multiply and accumulate, whether or not somebody counts how often."""


@dataclass(frozen=True)
class Island:
    """A node that runs in float: layer, operator, reason, the user's line, and its MACs.

    `is_counted` is False where it multiplies and accumulates and there is no formula for how often:
    spectra, decompositions of matrices, operators that are not torch's own.
    """

    layer: str
    operator: str
    reason: str
    line: str
    macs: int
    is_counted: bool = True


@dataclass(frozen=True)
class Coverage:
    """Layers with weights and multiply-accumulates (for one sample), in integers and in all.

    `conversions` counts what islands cost beside their own time: values that become float for one,
    or integers after one, each a pass over memory.
    """

    integer_layers: int
    layers: int
    integer_macs: int
    macs: int
    islands: tuple[Island, ...]
    conversions: int = 0
    narrow_channels: int = 0
    """Channels whose weights have 7 bits because the CPU that made the program had no VNNI."""

    @property
    def share_of_macs(self) -> float:
        """The share of the multiply-accumulates that run in integers, 0 to 1.

        Of those that are counted: `uncounted` has the islands beside them.
        """
        return self.integer_macs / self.macs if self.macs else float(not self.islands)

    @property
    def uncounted(self) -> tuple[Island, ...]:
        """The islands whose multiply-accumulates nobody counts."""
        return tuple(island for island in self.islands if not island.is_counted)

    def to_dict(self) -> dict[str, Any]:
        """The same as JSON data."""
        uncounted = [island.layer for island in self.uncounted]
        return {**asdict(self), "share_of_macs": self.share_of_macs, "uncounted": uncounted}

    def __rich__(self) -> RenderableType:
        line = f"{self.integer_layers} of {self.layers} layers and {self._work()} run in integers"
        if self.narrow_channels:
            line += f", {self.narrow_channels:,} channels with 7-bit weights (made without VNNI)"
        if not self.islands:
            return lines(f"{line}; nothing stayed float.")
        head = ("float island", "operator", "why", "line")
        rows = ((one.layer, one.operator, one.reason, one.line) for one in self.islands)
        ways = f"{self.conversions} conversion{'' if self.conversions == 1 else 's'}"
        ways = f"{ways} between integers and float islands:"
        return lines(f"{line}.", self._besides(), ways, table(head, rows, box=None))

    def _work(self) -> str:
        """The share in words: 100 % is said only of everything."""
        millions = f"{self.macs / 1e6:,.1f} M"
        if self.uncounted:
            inside = f"{self.integer_macs / 1e6:,.1f} M of the {millions} counted"
            return f"{inside} multiply-accumulates"
        share = 100 * self.share_of_macs
        share = min(share, 99.99) if self.integer_macs < self.macs else share
        return f"{share:.2f} % of {millions} multiply-accumulates"

    def _besides(self) -> str:
        names = list(dict.fromkeys(f"{one.layer} ({one.operator})" for one in self.uncounted))
        if not names:
            return ""
        islands = "1 island is" if len(names) == 1 else f"{len(names)} islands are"
        return f"{islands} not counted: {', '.join(names)}."

    def __str__(self) -> str:
        return as_text(self.__rich__())


def coverage(program: Program) -> Coverage:
    """The coverage of a program."""
    macs = program.provenance.macs
    layers = [node for node in program.graph.nodes if _has_weights(node)]
    inside = [node for node in layers if program.is_integer(node)]
    islands = tuple(
        Island(
            node.origin.layer or node.output,
            title(node.op),
            reason,
            node.origin.line,
            macs.get(node.output, 0),
            is_counted=node.output in macs or not _multiplies(node.op),
        )
        for node, reason in program.float_nodes()
    )
    return Coverage(
        integer_layers=len(inside),
        layers=len(layers) + sum(1 for island in islands if _is_layer(island)),
        integer_macs=sum(
            macs.get(node.output, 0) for node in program.graph.nodes if program.is_integer(node)
        ),
        macs=sum(macs.values()),
        islands=islands,
        conversions=conversions(program),
        narrow_channels=sum(program.provenance.narrow.values()),
    )


def conversions(program: Program) -> int:
    """How often a value changes between integers and float inside the network."""
    graph = program.graph
    read = {name for node in graph.nodes for name in node.inputs}
    inwards = (n for n in graph.nodes if isinstance(n.op, Quantize))
    outwards = (n for n in graph.nodes if isinstance(n.op, Dequantize))
    return sum(node.inputs[0] not in graph.inputs for node in inwards) + sum(
        node.output in read for node in outwards
    )


def _has_weights(node: Node) -> bool:
    return isinstance(node.op, IntegerOp) and Role.WEIGHT in node.op.roles(len(node.inputs))


def _is_layer(island: Island) -> bool:
    """Of torch's own operators, those that multiply and accumulate."""
    return "." in island.operator and (island.macs > 0 or not island.is_counted)


def _multiplies(op: Op) -> bool:
    if not isinstance(op, Opaque):
        return False
    namespace, _, rest = op.target.partition(".")
    return namespace != "aten" or rest.partition(".")[0] in MULTIPLYING
