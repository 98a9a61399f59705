"""Program -> a list of steps, each one kernel call with everything but its tensors bound beforehand.

    uint8, channels_last, from the input quantizer to the last layer's float32 accumulator; no copies

What is decided once, when the program is prepared: prepacked weights, float32 biases, whether an activation is
free (saturation does it), fused (a post-operation) or a clamp, which accumulators become float32 in the
kernel, whether a residual may be overwritten, and the order of a linear layer's columns after a flatten.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from zeropoint.arithmetic.qparams import QParams
from zeropoint.arithmetic.requantize import Float32
from zeropoint.errors import EngineError
from zeropoint.execute.executor import Executor
from zeropoint.execute.onednn import elementwise
from zeropoint.execute.onednn.operators import why_unusable
from zeropoint.execute.onednn.pooling import max_pool
from zeropoint.graph.graph import Node
from zeropoint.graph.op import IntegerOp
from zeropoint.ops.accumulate import real_bounds
from zeropoint.ops.add import Add
from zeropoint.ops.clamp import Clamp
from zeropoint.ops.concat import Concat
from zeropoint.ops.conv import Conv2d
from zeropoint.ops.linear import Linear
from zeropoint.ops.pad import Pad
from zeropoint.ops.pool import AveragePool2d, GlobalAveragePool, MaxPool2d
from zeropoint.ops.quantize import Dequantize, Quantize, Requantize
from zeropoint.ops.shape import Flatten
from zeropoint.program.program import Program

Slots = list[Any]
Kernel = Callable[..., Any]
Post = tuple[str, list[float | None]]

FRESH = (Conv2d, Linear, Add, MaxPool2d, Quantize, Requantize, Concat, Pad, Clamp)
"""Operators whose result is in memory of its own."""


@dataclass(frozen=True)
class Step:
    """kernel(*slots[reads]) goes to slots[writes]; then the slots `spent` are emptied."""

    kernel: Kernel
    reads: tuple[int, ...]
    writes: tuple[int, ...]
    spent: tuple[int, ...]


class OneDnn(Executor):
    """A program prepared for torch's int8 kernels. EngineError says what it cannot run."""

    def __init__(self, program: Program) -> None:
        reason = why_unusable()
        if reason is not None:
            raise EngineError(f"the onednn engine is not usable: {reason}")
        _refuse_asymmetric_weights(program)
        self._inputs, self._outputs, self._initial, self._steps = _Preparation(program).result()

    def run(self, inputs: Sequence[Tensor]) -> tuple[Any, ...]:
        """The program's outputs."""
        slots = self._initial.copy()
        for slot, x in zip(self._inputs, inputs, strict=True):
            slots[slot] = x
        with torch.no_grad():
            for step in self._steps:
                reads = step.reads
                if len(reads) == 1:
                    result = step.kernel(slots[reads[0]])
                else:
                    result = step.kernel(*[slots[read] for read in reads])
                if len(step.writes) == 1:
                    slots[step.writes[0]] = result
                else:
                    for write, item in zip(step.writes, result, strict=True):
                        slots[write] = item
                for spent in step.spent:
                    slots[spent] = None
        return tuple(slots[output] for output in self._outputs)


def _refuse_asymmetric_weights(program: Program) -> None:
    for name in program.graph.constants:
        params = program.graph.values[name].params
        if params is not None and params.axis in (0, None) and bool(params.zero_point.any()):
            raise EngineError(
                f"{name} has a zero point; the onednn engine runs symmetric weights only: "
                'use engine="reference", or TensorSpec(symmetric=True) for weights'
            )


class _Preparation:
    """Turns nodes into steps, in order."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._graph = program.graph
        self._slots: dict[str, int] = {}
        self._initial: Slots = []
        self._dissolved: set[str] = set()

    def result(self) -> tuple[list[int], list[int], Slots, list[Step]]:
        graph = self._graph
        inputs = [self._slot(name) for name in graph.inputs]
        kernels = [(node, self._kernel(node)) for node in graph.nodes]
        kept = [(node, kernel) for node, kernel in kernels if node.output not in self._dissolved]
        last = self._last_readers([node for node, _ in kept])
        steps = [self._step(node, kernel, last) for node, kernel in kept]
        outputs = [self._slot(self._origin(name)) for name in graph.outputs]
        return inputs, outputs, self._initial, steps

    def _step(self, node: Node, kernel: Kernel, last: dict[str, Node]) -> Step:
        names = self._reads(node)
        spent = {
            name for name in (*names, *node.outputs) if last.get(name, node) is node
        } - set(map(self._origin, self._graph.outputs)) - self._graph.constants.keys()
        return Step(
            kernel,
            tuple(self._slot(name) for name in names),
            tuple(self._slot(name) for name in node.outputs),
            tuple(sorted(self._slot(name) for name in spent)),
        )

    def _reads(self, node: Node) -> tuple[str, ...]:
        """The operands that a kernel is called with: weights and biases are bound in it already."""
        names = node.inputs
        if isinstance(node.op, (Conv2d, Linear)) and self._program.is_integer(node):
            names = (names[0], *names[3:])
        return tuple(self._origin(name) for name in names)

    def _origin(self, name: str) -> str:
        """The value itself, or the one whose slot it has because its own node dissolved."""
        while name in self._dissolved:
            name = self._graph.producers[name].inputs[0]
        return name

    def _last_readers(self, nodes: list[Node]) -> dict[str, Node]:
        return {name: node for node in nodes for name in self._reads(node)}

    def _slot(self, name: str) -> int:
        if name not in self._slots:
            self._slots[name] = len(self._initial)
            self._initial.append(self._graph.constants.get(name))
        return self._slots[name]

    def _grid(self, name: str) -> tuple[float, int]:
        params = self._params(name)
        return params.scale.item(), int(params.zero_point.item())

    def _params(self, name: str) -> QParams:
        params = self._graph.values[name].params
        assert params is not None  # callers ask for quantized values
        return params

    def _kernel(self, node: Node) -> Kernel:
        op = node.op
        if isinstance(op, Quantize):
            return self._quantize(node)
        if isinstance(op, Dequantize):
            return self._dequantize(node)
        if not isinstance(op, IntegerOp) or not self._program.is_integer(node):
            return op.run
        if isinstance(op, Conv2d):
            return self._conv(node, op)
        if isinstance(op, Linear):
            return self._linear(node, op)
        if isinstance(op, MaxPool2d):
            return lambda x: max_pool(x, op)
        if isinstance(op, (GlobalAveragePool, AveragePool2d)):
            return self._average(node, op)
        if isinstance(op, Add):
            return self._add(node, op)
        if isinstance(op, Concat):
            return self._concat(node, op)
        if isinstance(op, Requantize):
            old, new = self._grid(node.inputs[0]), self._grid(node.output)
            return self._within(node, lambda q: elementwise.requantize(q, old, new))
        if isinstance(op, Clamp):
            low, high = real_bounds(op.low, op.high, self._params(node.output))
            return lambda q: q.clamp(low, high)
        if isinstance(op, Flatten) and self._feeds_only_linear(node):
            return _flatten_channels_last
        return self._by_reference(node, op)

    def _by_reference(self, node: Node, op: IntegerOp) -> Kernel:
        """The integer form itself: rare operators, and those that only move integers."""
        signature, arithmetic = self._program.signature(node), Float32()
        return lambda *inputs: op.run_integer(inputs, signature, arithmetic)

    def _quantize(self, node: Node) -> Kernel:
        scale, zero_point = self._grid(node.output)
        return self._within(node, lambda x: elementwise.quantize(x, scale, zero_point))

    def _within(self, node: Node, kernel: Kernel) -> Kernel:
        """The kernel, with its result clamped where the type is narrower than the 8 bits of storage."""
        params = self._params(node.output)
        if (params.low, params.high) == (0, 255):
            return kernel
        return lambda *inputs: kernel(*inputs).clamp_(params.low, params.high)

    def _dequantize(self, node: Node) -> Kernel:
        name = node.inputs[0]
        params = self._params(name)
        if params.type.bits == 32:
            self._dissolved.add(node.output)  # the layer before writes float32 already
            return lambda x: x
        scale, zero_point = self._grid(name)
        return lambda q: elementwise.dequantize(q, scale, zero_point)

    def _post(self, low: float | None, high: float | None, out: QParams) -> Post:
        """The post-operation that keeps a result within bounds, "none" where saturation does it."""
        if out.type.bits == 32:
            return "none", []
        bottom, top = real_bounds(low, high, out)
        zero_point, scale = int(out.zero_point.item()), out.scale.item()
        if (bottom, top) == (0, 255):
            return "none", []
        if (bottom, top) == (zero_point, 255):
            return "relu", []
        return "hardtanh", [(bottom - zero_point) * scale, (top - zero_point) * scale]

    def _output(self, params: QParams) -> tuple[float, int, torch.dtype]:
        """Scale, zero point and dtype that a kernel writes: an accumulator leaves as float32."""
        if params.type.bits == 32:
            return 1.0, 0, torch.float32
        return params.scale.item(), int(params.zero_point.item()), torch.uint8

    def _bias(self, node: Node) -> Tensor:
        params = self._params(node.inputs[2])
        return self._graph.constants[node.inputs[2]].to(torch.float32) * params.scale

    def _channel_scales(self, name: str) -> Tensor:
        channels = self._graph.constants[name].shape[0]
        return self._params(name).scale.expand(channels).contiguous()

    def _conv(self, node: Node, op: Conv2d) -> Kernel:
        onednn = torch.ops.onednn
        x_scale, x_zero = self._grid(node.inputs[0])
        scales = self._channel_scales(node.inputs[1])
        zeros = torch.zeros(len(scales), dtype=torch.int64)
        weight = self._graph.constants[node.inputs[1]]
        stride, padding, dilation = list(op.stride), list(op.padding), list(op.dilation)
        packed = onednn.qconv_prepack(
            weight, scales, x_scale, x_zero, stride, padding, dilation, op.groups, None
        )
        bias = self._bias(node)
        out = self._params(node.output)
        y_scale, y_zero, dtype = self._output(out)
        attr, scalars = self._post(op.low, op.high, out)
        if len(node.inputs) == 3:
            call = onednn.qconv2d_pointwise.default
            tail = (y_scale, y_zero, dtype, attr, scalars, "")
            shape = (stride, padding, dilation, op.groups)
            return lambda x: call(x, x_scale, x_zero, packed, scales, zeros, bias, *shape, *tail)
        return self._residual(node, op, packed, scales, zeros, bias)

    def _residual(
        self,
        node: Node,
        op: Conv2d,
        packed: Tensor,
        scales: Tensor,
        zeros: Tensor,
        bias: Tensor,
    ) -> Kernel:
        """A convolution that adds onto its fourth operand in place, or onto a copy if it is needed yet."""
        call = torch.ops.onednn.qconv2d_pointwise.binary
        x_scale, x_zero = self._grid(node.inputs[0])
        a_scale, a_zero = self._grid(node.inputs[3])
        out = self._params(node.output)
        y_scale, y_zero, dtype = self._output(out)
        attr, scalars = self._post(op.low, op.high, out)
        bounds = None
        if attr == "hardtanh":  # the kernel knows relu only after a sum
            attr, scalars, bounds = "none", [], real_bounds(op.low, op.high, out)
        shape = (list(op.stride), list(op.padding), list(op.dilation), op.groups)
        tail = (y_scale, y_zero, dtype, a_scale, a_zero, "sum", 1.0, attr, scalars, "")
        copies = not self._may_overwrite(node)

        def kernel(x: Tensor, addend: Tensor) -> Tensor:
            if copies:
                addend = addend.clone(memory_format=torch.channels_last)
            y = call(x, x_scale, x_zero, packed, scales, zeros, addend, bias, *shape, *tail)
            return y if bounds is None else y.clamp_(*bounds)

        return kernel

    def _may_overwrite(self, node: Node) -> bool:
        """True if the addend's memory is its own and nothing reads it after this node."""
        name = node.inputs[3]
        writer = self._graph.producers.get(name)
        users = self._graph.users[name]
        return (
            writer is not None
            and isinstance(writer.op, FRESH)
            and name not in self._graph.outputs
            and users[-1] is node
            and node.inputs.count(name) == 1
            and all(isinstance(user.op, FRESH) or user is node for user in users)
        )

    def _linear(self, node: Node, op: Linear) -> Kernel:
        onednn = torch.ops.onednn
        x_scale, x_zero = self._grid(node.inputs[0])
        weight = self._linear_weight(node)
        scales = self._channel_scales(node.inputs[1])
        zeros = torch.zeros(len(scales), dtype=torch.int64)
        packed = onednn.qlinear_prepack(weight, None)
        bias = self._bias(node)
        out = self._params(node.output)
        y_scale, y_zero, dtype = self._output(out)
        attr, scalars = self._post(op.low, op.high, out)
        bounds = None
        if attr == "hardtanh":  # the kernel knows relu only
            attr, scalars, bounds = "none", [], real_bounds(op.low, op.high, out)
        call = onednn.qlinear_pointwise.default
        tail = (y_scale, y_zero, dtype, attr, scalars, "")
        rank = len(self._graph.values[node.inputs[0]].shape)

        def flat(x: Tensor) -> Tensor:
            y: Tensor = call(x, x_scale, x_zero, packed, scales, zeros, bias, *tail)
            return y if bounds is None else y.clamp_(*bounds)

        if rank == 2:
            return flat
        return lambda x: flat(x.reshape(-1, x.shape[-1])).unflatten(0, x.shape[:-1])

    def _linear_weight(self, node: Node) -> Tensor:
        """The weight with its columns in the order in which a channels_last image is flattened."""
        weight = self._graph.constants[node.inputs[1]]
        flatten = self._graph.producers.get(node.inputs[0])
        if flatten is None or not isinstance(flatten.op, Flatten):
            return weight
        if not self._feeds_only_linear(flatten):
            return weight
        _, channels, height, width = self._graph.values[flatten.inputs[0]].shape
        image = weight.reshape(-1, int(channels), int(height), int(width))
        return image.permute(0, 2, 3, 1).flatten(1).contiguous()

    def _feeds_only_linear(self, node: Node) -> bool:
        """True for the flattening of images of known size that only an integer linear layer reads."""
        shape = self._graph.values[node.inputs[0]].shape
        user = self._graph.only_user(node.output)
        return (
            node.op == Flatten(1)
            and len(shape) == 4
            and all(isinstance(size, int) for size in shape[1:])
            and user is not None
            and isinstance(user.op, Linear)
            and self._program.is_integer(user)
        )

    def _average(self, node: Node, op: GlobalAveragePool | AveragePool2d) -> Kernel:
        (x_scale, x_zero), out = self._grid(node.inputs[0]), self._params(node.output)
        zero_point, ratio = int(out.zero_point.item()), self._ratio(node)

        def whole(x: Tensor) -> Tensor:
            count = x.shape[2] * x.shape[3]
            total = x.sum((2, 3), keepdim=op.keep, dtype=torch.int32)  # type: ignore[union-attr]
            multiplier = torch.tensor(ratio / count, dtype=torch.float32)
            return elementwise.scale_and_shift(total - count * x_zero, multiplier, out, zero_point)

        def windows(x: Tensor) -> Tensor:
            total = op.sums(x.to(torch.float32) - x_zero)  # type: ignore[union-attr]
            divisors = op.divisors(x.shape[-2:])  # type: ignore[union-attr]
            multiplier = (ratio / divisors).to(torch.float32)
            return elementwise.scale_and_shift(total, multiplier, out, zero_point)

        return whole if isinstance(op, GlobalAveragePool) else windows

    def _ratio(self, node: Node) -> float:
        """s_x / s_y as float64."""
        return self._grid(node.inputs[0])[0] / self._grid(node.output)[0]

    def _add(self, node: Node, op: Add) -> Kernel:
        first, second = (self._graph.values[name] for name in node.inputs)
        if first.shape != second.shape:
            return self._by_reference(node, op)
        out = self._params(node.output)
        grids = (self._grid(first.name), self._grid(second.name), self._grid(node.output))
        low, high = real_bounds(op.low, op.high, out)
        if (low, high) == (0, 255):
            return lambda a, b: elementwise.add(a, b, *grids)
        return lambda a, b: elementwise.add(a, b, *grids).clamp_(low, high)

    def _concat(self, node: Node, op: Concat) -> Kernel:
        new = self._grid(node.output)
        high = self._params(node.output).high
        moves = [self._move(self._grid(name), new, high) for name in node.inputs]
        axis = op.axis

        def kernel(*parts: Tensor) -> Tensor:
            moved = [move(part) if move else part for move, part in zip(moves, parts, strict=True)]
            return torch.cat(moved, axis)

        return kernel

    def _move(
        self, old: tuple[float, int], new: tuple[float, int], high: int
    ) -> Callable[[Tensor], Tensor] | None:
        """The way from one grid to another; None where there is none to go."""
        if old == new:
            return None
        if high == 255:
            return lambda q: elementwise.requantize(q, old, new)
        return lambda q: elementwise.requantize(q, old, new).clamp_(0, high)


def _flatten_channels_last(x: Tensor) -> Tensor:
    """A view: the linear layer's columns are in this order."""
    return x.permute(0, 2, 3, 1).flatten(1)
