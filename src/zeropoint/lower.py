"""Graph, Plan -> Program: constants become integers, values get grids, islands get fences.

    x --> quantize --> conv2d --> ... --> linear --> dequantize --> logits
                                             (int32)

An operator keeps its class and its options; what changes is the type of its values. Each value is
quantized and dequantized at most once, however many nodes read it.
"""

from dataclasses import replace

import torch

from zeropoint.arithmetic.qparams import quantize
from zeropoint.graph.build import Builder
from zeropoint.graph.graph import Graph, Node
from zeropoint.graph.op import IntegerOp, Op, Role
from zeropoint.graph.value import Quantized, Value
from zeropoint.ops.clamp import Clamp
from zeropoint.ops.conv import Convolution
from zeropoint.ops.functions import Steps, after
from zeropoint.ops.linear import Linear
from zeropoint.ops.quantize import Dequantize, Quantize
from zeropoint.ops.shape import SizeArithmetic, SizeOf
from zeropoint.ops.table import Table
from zeropoint.plan import Accumulator, Plan
from zeropoint.program.program import Program
from zeropoint.program.provenance import Provenance


def lower(graph: Graph, plan: Plan, provenance: Provenance) -> Program:
    """The integer program; it has passed `Program.verify`."""
    return _Lowering(graph, plan).program(provenance)


class _Lowering:
    def __init__(self, graph: Graph, plan: Plan) -> None:
        self._graph = graph
        self._plan = plan
        self._to = Builder()
        self._real: dict[str, Value] = {}
        self._integer: dict[str, Value] = {}

    def program(self, provenance: Provenance) -> Program:
        for name in self._graph.inputs:
            value = self._graph.values[name]
            self._real[name] = self._to.input(name, value.shape, value.type)
        for node in self._graph.nodes:
            self._to.origin = node.origin
            self._node(node)
        self._to.origin = replace(self._to.origin, layer="", line="")
        outputs = [self._as_real(name) for name in self._graph.outputs]
        lowered = self._to.done(outputs, self._graph.structure)
        program = Program(lowered, dict(self._plan.reasons), provenance, self._plan.levels)
        program.verify()
        return program

    def _node(self, node: Node) -> None:
        if isinstance(node.op, (SizeOf, SizeArithmetic)):
            self._size(node)
        elif node.output in self._plan.reasons or node.output in self._plan.leaving:
            self._float(node)
        else:
            self._lowered(node)

    def _size(self, node: Node) -> None:
        """A size needs no real numbers: it is read off whichever form of the tensor exists."""
        operands = [self._integer.get(name) or self._as_real(name) for name in node.inputs]
        value = self._graph.values[node.output]
        self._real[node.output] = self._to.emit(
            node.op, *operands, shape=value.shape, type=value.type, name=value.name
        )

    def _float(self, node: Node) -> None:
        operands = [self._as_real(name) for name in node.inputs]
        values = [self._graph.values[name] for name in node.outputs]
        self._to.hint = node.output
        results = self._to.emit_many(node.op, operands, [(v.shape, v.type) for v in values])
        self._real.update(zip(node.outputs, results, strict=True))

    def _lowered(self, node: Node) -> None:
        assert isinstance(node.op, IntegerOp)  # the plan gives every other operator a reason
        roles = node.op.roles(len(node.inputs))
        operands = [
            self._as_real(name) if role is Role.SIZE else self._as_integer(name)
            for name, role in zip(node.inputs, roles, strict=True)
        ]
        entry = self._plan.entries[node.output]
        shape = self._graph.values[node.output].shape
        op, rest = _without_rest(node.op) if isinstance(entry, Accumulator) else (node.op, None)
        result = self._to.emit(
            op, *operands, shape=shape, type=Quantized(entry.params), name=node.output
        )
        self._integer[node.output] = result
        if rest is not None:
            real = self._as_real(node.output)
            self._real[node.output] = self._to.emit(
                rest, real, shape=shape, name=f"{node.output}.clamped"
            )

    def _as_integer(self, name: str) -> Value:
        """The quantized form of a value: written already, a constant, or quantized here."""
        if name not in self._integer:
            params = self._plan.entries[name].params
            type = Quantized(params)
            if name in self._graph.constants:
                q = quantize(self._graph.constants[name].detach().to(torch.float64), params)
                self._integer[name] = self._to.constant(name, q, type)
            else:
                real = self._as_real(name)
                self._integer[name] = self._to.emit(
                    Quantize(), real, shape=real.shape, type=type, name=f"{name}.quantized"
                )
        return self._integer[name]

    def _as_real(self, name: str) -> Value:
        """The float form of a value: written already, a constant, or dequantized here."""
        if name not in self._real:
            if name in self._graph.constants:
                self._real[name] = self._to.constant(name, self._graph.constants[name].detach())
            else:
                q = self._integer[name]
                self._real[name] = self._to.emit(
                    Dequantize(), q, shape=q.shape, name=f"{name}.real"
                )
        return self._real[name]


def _without_rest(op: Op) -> tuple[Op, Clamp | Table | None]:
    """An accumulator that leaves the integers takes what follows it along, in float."""
    if not isinstance(op, Convolution | Linear):  # a product of matrices has nothing
        return op, None
    bare = replace(op, low=None, high=None, function=())
    clamp = None if op.low is None and op.high is None else Clamp(op.low, op.high)
    if not op.function:
        return bare, clamp
    bounds: Steps = () if clamp is None else (("clamp", "x", clamp.low, clamp.high),)
    return bare, Table(after(op.function, bounds))
