"""A graph in which every value from the input quantizer to the output dequantizer is an integer.

What cannot be one stands in a named float island. `verify` proves that, and that no int32 can
overflow.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch
from torch import Tensor

from zeropoint.arithmetic.bounds import Range, sum_range
from zeropoint.arithmetic.integer import INT32
from zeropoint.arithmetic.qparams import QParams, broadcast
from zeropoint.errors import GraphError, ProgramError
from zeropoint.graph.graph import Graph, Node
from zeropoint.graph.op import IntegerOp, Role, Signature
from zeropoint.graph.text import format_graph
from zeropoint.graph.value import Plain, Quantized
from zeropoint.ops.conv import Convolution
from zeropoint.ops.functions import Steps, is_defined, is_function
from zeropoint.ops.linear import Linear
from zeropoint.ops.options import check_options
from zeropoint.ops.quantize import Dequantize, Quantize
from zeropoint.ops.shape import SizeArithmetic, SizeOf
from zeropoint.ops.steps import farthest
from zeropoint.ops.table import Table
from zeropoint.program.grids import check_node, check_values
from zeropoint.program.provenance import Provenance
from zeropoint.program.reach import check_reach
from zeropoint.program.shapes import check_shapes

MOST_BITS = 8
"""Of the codes that a table is read by."""

MOST_LEVELS = 1 << 24


@dataclass(frozen=True)
class Program:
    """An integer graph, the reason for each float node (by its output), and its provenance.

    `levels` (C,) are uint8: a channel of that value is 2^(level / 8) times what it is in the model,
    and so are its real numbers s (q - z) (passes/equalize.py).
    """

    graph: Graph
    islands: Mapping[str, str]
    provenance: Provenance = Provenance()
    levels: Mapping[str, Tensor] = field(default_factory=dict)

    def __str__(self) -> str:
        return format_graph(self.graph)

    def is_integer(self, node: Node) -> bool:
        """True if the node computes with integers."""
        return isinstance(self.graph.values[node.output].type, Quantized)

    def signature(self, node: Node) -> Signature:
        """The grids that the node's integer form works on; sizes have none."""
        values = self.graph.values
        grids = [params for name in node.inputs if (params := values[name].params) is not None]
        output = values[node.output].params
        assert output is not None  # callers pass integer nodes
        return Signature(tuple(grids), output)

    def to(self, device: torch.device) -> "Program":
        """The same, with its constants and grids on another device."""
        graph = self.graph
        constants = {name: tensor.to(device) for name, tensor in graph.constants.items()}
        values = {name: value.to(device) for name, value in graph.values.items()}
        return replace(self, graph=replace(graph, constants=constants, values=values))

    def verify(self) -> None:
        """ProgramError unless the program is what it claims to be.

        1. Every value is well formed, and so are the options of every operator.
        2. Integer operators read integers; only islands and fences touch real numbers.
        3. A bias is int32 at the scale s_x s_w, and every grid is one that its operator can have.
        4. For the worst input no accumulator leaves int32.
        5. An island does nothing but compute.
        6. Every node takes its operands, and gives the shapes that are declared.
        """
        try:
            self._verify()
        except ProgramError:
            raise
        except GraphError as error:
            raise ProgramError(f"the program's graph is malformed: {error}") from error
        except Exception as error:  # a program that no rule foresees is none
            raise ProgramError(f"the program is malformed: {error!r}") from error

    def _verify(self) -> None:
        self.graph.verify()
        check_values(self.graph)
        self._verify_levels()
        for node in self.graph.nodes:
            self._verify_types(node)
            self._verify_options(node)
            self._verify_function(node)
            if self.is_integer(node) or isinstance(node.op, Dequantize):
                check_node(self.graph, node)
            if self.is_integer(node) and not isinstance(node.op, Quantize):
                self._verify_integers(node)
        for name in self.graph.outputs:
            if isinstance(self.graph.values[name].type, Quantized):
                raise ProgramError(f"the output {name!r} leaves as integers")
        check_shapes(self.graph, self.provenance.input_shapes)

    def _verify_levels(self) -> None:
        if sum(level.numel() for level in self.levels.values()) > MOST_LEVELS:
            raise ProgramError("it has more levels of channels than any network has channels")
        for name, level in self.levels.items():
            if level.dtype != torch.uint8 or level.ndim != 1:
                raise ProgramError(f"the levels of {name!r} are no bytes, one for each channel")

    def _verify_options(self, node: Node) -> None:
        try:
            check_options(node.op)
        except GraphError as error:
            raise ProgramError(f"{node.output}: {error}") from error

    def _verify_types(self, node: Node) -> None:
        op = node.op
        if isinstance(op, (SizeOf, SizeArithmetic)):
            return
        reads = [self.graph.values[name].type for name in node.inputs]
        if self.is_integer(node):
            if isinstance(op, Quantize):
                if reads and isinstance(reads[0], Quantized):
                    raise ProgramError(f"{node.output} quantizes what is quantized already")
                return
            if not isinstance(op, IntegerOp):
                raise ProgramError(f"{node.output}: {op.name} has no integer form")
            roles = op.roles(len(node.inputs))
            weighted = isinstance(op, (Convolution, Linear))
            if len(roles) != len(reads) or not reads or weighted != (Role.BIAS in roles):
                raise ProgramError(f"{node.output}: {op.name} does not take {len(reads)} operands")
            for name, type, role in zip(node.inputs, reads, roles, strict=True):
                if role is not Role.SIZE and not isinstance(type, Quantized):
                    raise ProgramError(f"{node.output} reads the real numbers of {name!r}")
            return
        if isinstance(op, Dequantize):
            if not reads or not isinstance(reads[0], Quantized):
                raise ProgramError(
                    f"{node.output} dequantizes the real numbers of {', '.join(node.inputs)!r}"
                )
            return
        if any(isinstance(type, Quantized) for type in reads):
            raise ProgramError(f"{node.output} runs in float but reads integers")
        if node.output not in self.islands and node.output not in self._leaving:
            raise ProgramError(f"{node.output} runs in float and is not named as an island")

    @cached_property
    def _leaving(self) -> frozenset[str]:
        """What follows accumulators out of the integers, without weights of its own."""
        found: set[str] = set()
        for node in self.graph.nodes:
            reads = [name for name in node.inputs if self._is_real_and_computed(name)]
            if isinstance(node.op, Dequantize):
                params = self.graph.values[node.inputs[0]].params
                if params is not None and params.type == INT32:
                    found.add(node.output)
            elif isinstance(node.op, IntegerOp) and reads and found.issuperset(reads):
                weighs = Role.WEIGHT in node.op.roles(len(node.inputs))
                found.update(() if weighs else node.outputs)
        return frozenset(found)

    def _is_real_and_computed(self, name: str) -> bool:
        return name not in self.graph.constants and isinstance(self.graph.values[name].type, Plain)

    def _verify_integers(self, node: Node) -> None:
        assert isinstance(node.op, IntegerOp)  # _verify_types says so
        if isinstance(node.op, Table):
            self._verify_table(node, node.op)
        check_reach(self.graph, node)
        if Role.WEIGHT not in node.op.roles(len(node.inputs)):
            return
        x, weight, bias = (self.graph.values[name].params for name in node.inputs[:3])
        assert x is not None  # _verify_types says so of all three
        assert weight is not None
        assert bias is not None
        expected = (x.scale.to(torch.float64) * weight.scale.to(torch.float64)).to(torch.float32)
        if bias.type != INT32 or not torch.equal(bias.scale, expected):
            raise ProgramError(f"{node.output}: the bias is not int32 at the scale s_x s_w")
        if self._cannot_overflow(node, x, weight):
            return
        bound = self.accumulator_range(node).largest
        if bool((bound >= 2.0**31).any()):
            channel = int(bound.argmax())
            raise ProgramError(
                f"{node.output}: the accumulator of channel {channel} can reach {bound.max():.0f}, "
                "beyond int32; quantize that layer to fewer bits or keep it float"
            )

    def _cannot_overflow(self, node: Node, x: QParams, weight: QParams) -> bool:
        """True if int32 holds the sums whatever the weights are, which is sooner said."""
        tensor, bias = (self.graph.constants[name] for name in node.inputs[1:3])
        terms = tensor.numel() // tensor.shape[0] if tensor.numel() else 0
        offset = bias.to(torch.float64).abs().max().item() if bias.numel() else 0.0
        return terms * farthest(x) * farthest(weight) + offset < 2.0**31

    def _verify_function(self, node: Node) -> None:
        function: Steps = ()
        if isinstance(node.op, Table):
            function = node.op.steps
        elif isinstance(node.op, Convolution | Linear):
            function = node.op.function
        if not is_function(function):
            raise ProgramError(f"{node.output}: {function} is no function")
        if not isinstance(node.op, Table) and not is_defined(function):
            raise ProgramError(f"{node.output}: {function} is not a number somewhere")

    def _verify_table(self, node: Node, op: Table) -> None:
        signature = self.signature(node)
        x = signature.inputs[0]
        if x.type.bits > MOST_BITS or x.axis is not None:
            raise ProgramError(
                f"{node.output}: a table has entries for the codes of one 8-bit grid"
            )
        try:
            op.entries(x, signature.output)
        except ProgramError as error:
            raise ProgramError(f"{node.output}: {error}") from error

    def accumulator_range(self, node: Node) -> Range:
        """What the accumulators of each output channel can reach over all possible inputs."""
        x = self.graph.values[node.inputs[0]].params
        assert x is not None  # callers pass integer nodes with weights
        zero_point = int(x.zero_point.item())
        bias = self.graph.constants[node.inputs[2]].to(torch.float64)
        rows = self.weight_rows(node)
        return sum_range(rows, bias, x.low - zero_point, x.high - zero_point)

    def weighted_nodes(self) -> tuple[Node, ...]:
        """The integer nodes with weights, in order."""
        return tuple(
            node
            for node in self.graph.nodes
            if isinstance(node.op, IntegerOp)
            and self.is_integer(node)
            and Role.WEIGHT in node.op.roles(len(node.inputs))
        )

    def weight_rows(self, node: Node) -> Tensor:
        """The centred integer weights of a node, float64: a row (O, K) for each output channel."""
        weight = self.graph.values[node.inputs[1]].params
        assert weight is not None  # callers pass integer nodes with weights
        q = self.graph.constants[node.inputs[1]].to(torch.float64)
        return (q - broadcast(weight.zero_point, q.ndim, weight.axis)).reshape(q.shape[0], -1)

    def float_nodes(self) -> Iterator[tuple[Node, str]]:
        """Every node of an island, with the reason."""
        for node in self.graph.nodes:
            if node.output in self.islands:
                yield node, self.islands[node.output]

    def has_islands(self) -> bool:
        """True if any node runs in float."""
        return any(True for _ in self.float_nodes())
