"""How much of a network runs in integers, and what stayed float, by name and reason."""

from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table

from zeropoint.graph.graph import Node
from zeropoint.graph.op import IntegerOp, Role
from zeropoint.ops.quantize import Dequantize, Quantize
from zeropoint.ops.title import title
from zeropoint.program.program import Program
from zeropoint.render import as_text


@dataclass(frozen=True)
class Island:
    """A node that runs in float: layer, operator, reason, the user's line, and its MACs."""

    layer: str
    operator: str
    reason: str
    line: str
    macs: int


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
        """The share of the multiply-accumulates that run in integers, 0 to 1."""
        return self.integer_macs / self.macs if self.macs else 1.0

    def to_dict(self) -> dict[str, Any]:
        """The same as JSON data."""
        return {**asdict(self), "share_of_macs": self.share_of_macs}

    def __rich__(self) -> RenderableType:
        line = (
            f"{self.integer_layers} of {self.layers} layers and {100 * self.share_of_macs:.2f} % "
            f"of {self.macs / 1e6:,.1f} M multiply-accumulates run in integers"
        )
        if self.narrow_channels:
            line += f", {self.narrow_channels:,} channels with 7-bit weights (made without VNNI)"
        if not self.islands:
            return f"{line}; nothing stayed float."
        table = Table("float island", "operator", "why", "line", box=None)
        for island in self.islands:
            table.add_row(island.layer, island.operator, island.reason, island.line)
        ways = f"{self.conversions} conversion{'' if self.conversions == 1 else 's'}"
        return Group(f"{line}.", f"{ways} between integers and float islands:", table)

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
        )
        for node, reason in program.float_nodes()
    )
    return Coverage(
        integer_layers=len(inside),
        layers=len(layers) + sum(1 for island in islands if island.macs and _is_opaque(island)),
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


def _is_opaque(island: Island) -> bool:
    return "." in island.operator
