"""Programs of one operator under construction, and integers for them, drawn by hypothesis.

    float32 on the grid --> quantize --> operator --> dequantize --> float32

Inputs lie on the grid of their quantizer, so that an operator meets the very integers that were
drawn however an engine rounds; an output is s (q - z), so that its integer can be read off it.
Scales are random numbers, not round ones: where M is a power of two every other result is a tie,
and engines break ties either way.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import torch
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, composite
from hypothesis.vendor.pretty import RepresentationPrinter
from torch import Tensor

from zeropoint.arithmetic.integer import INT8, INT32, IntegerType
from zeropoint.arithmetic.qparams import QParams, broadcast, dequantize, per_tensor
from zeropoint.graph.build import Builder
from zeropoint.graph.op import Op
from zeropoint.graph.structure import structure_of
from zeropoint.graph.value import Plain, Quantized, Size, Value, ValueType
from zeropoint.ops.conv import Convolution
from zeropoint.ops.linear import Linear
from zeropoint.ops.quantize import Dequantize, Quantize
from zeropoint.ops.shape import SizeArithmetic, SizeOf
from zeropoint.program.program import Program
from zeropoint.program.provenance import Provenance
from zeropoint.target import cpu


@dataclass(frozen=True)
class Case:
    """A program and inputs for it."""

    program: Program
    inputs: tuple[Tensor, ...]

    def __repr__(self) -> str:
        shapes = ", ".join(f"{tuple(x.shape)} strides {x.stride()}" for x in self.inputs)
        return f"{self.program}\non {shapes}"

    def _repr_pretty_(self, printer: RepresentationPrinter, cycle: bool) -> None:
        """What hypothesis prints of a case that fails: no tensors."""
        printer.text(repr(self))


class Fill(Enum):
    """Which integers a tensor holds."""

    RANDOM = "random"
    LOWEST = "lowest"
    HIGHEST = "highest"
    EXTREMES = "the lowest and the highest, at random"
    ZERO = "those that stand for zero"


class Layout(Enum):
    """How an image lies in memory."""

    NCHW = "contiguous"
    CHANNELS_LAST = "channels last"
    STRIDED = "every other element of something"


class Sample(Enum):
    """What the program's provenance says of the images that it will see, for engines to prepare."""

    UNKNOWN = "nothing"
    ALIKE = "images of the size that they have"
    LARGER = "images of another size"


class Draft:
    """A program under construction, fed with integers of your choice.

    `real` holds the real numbers (float64; an int for a size) that each value so far stands for.
    """

    def __init__(
        self, seed: int, layout: Layout = Layout.NCHW, sample: Sample = Sample.UNKNOWN
    ) -> None:
        self.real: dict[str, Any] = {}  # a Tensor, or an int: what Op.run takes
        self._sample = sample
        self._to = Builder()
        self._inputs: list[Tensor] = []
        self._random = torch.Generator().manual_seed(seed)
        self._layout = layout

    def number(self, low: float, high: float) -> float:
        """A random number; scales are made of these, so that no ratio of two is a round one."""
        return low + (high - low) * torch.rand((), generator=self._random).item()

    def scale(self) -> float:
        """A random scale between 0.001 and 1."""
        return float(10.0 ** self.number(-3.0, 0.0))

    def integers(self, shape: tuple[int, ...], params: QParams, fill: Fill) -> Tensor:
        """Integers of the grid, in its storage dtype."""
        low, high = params.low, params.high
        if fill is Fill.RANDOM:
            q = torch.randint(low, high + 1, shape, generator=self._random)
        elif fill is Fill.EXTREMES:
            q = torch.randint(0, 2, shape, generator=self._random) * (high - low) + low
        elif fill is Fill.ZERO:
            q = torch.zeros(shape) + broadcast(params.zero_point, len(shape), params.axis)
        else:
            q = torch.full(shape, low if fill is Fill.LOWEST else high)
        return q.to(params.type.storage)

    def normal(self, shape: tuple[int, ...]) -> Tensor:
        """Real numbers (float32) of a standard normal distribution."""
        return torch.randn(shape, generator=self._random)

    def input(self, x: Tensor) -> Value:
        """A float32 input of the program; its first dimension is the batch, of any size."""
        self._inputs.append(laid_out(x, self._layout))
        value = self._to.input(f"x{len(self._inputs)}", ("N", *x.shape[1:]))
        self.real[value.name] = x.to(torch.float64)
        return value

    def activation(
        self, shape: tuple[int, ...], params: QParams, fill: Fill = Fill.RANDOM
    ) -> Value:
        """A quantized input that holds the integers that `fill` says."""
        x = self.input(dequantize(self.integers(shape, params, fill), params))
        return self.emit(Quantize(), x, params=params)

    def constant(self, name: str, q: Tensor, params: QParams) -> Value:
        """A quantized constant."""
        value = self._to.constant(name, q, Quantized(params))
        steps = q.to(torch.float64) - broadcast(params.zero_point, q.ndim, params.axis)
        self.real[value.name] = steps * broadcast(params.scale, q.ndim, params.axis)
        return value

    def bias(self, x: Value, weight: Value, q: Tensor) -> Value:
        """The bias of a layer: int32 at the scale s_x s_w."""
        return self.constant("bias", q.to(torch.int32), accumulator(x, weight, axis=0))

    def float_constant(self, name: str, tensor: Tensor) -> Value:
        """A constant of an island: real numbers, indices or truth values."""
        value = self._to.constant(name, tensor)
        self.real[value.name] = tensor.double() if tensor.is_floating_point() else tensor
        return value

    def emit(self, op: Op, *operands: Value, params: QParams | None = None) -> Value:
        """A node; its result is quantized with `params`, or float."""
        (result,) = self.emit_many(op, *operands, params=params)
        return result

    def emit_many(self, op: Op, *operands: Value, params: QParams | None = None) -> list[Value]:
        """A node with as many results as its operator has."""
        real = op.run(*(self.real[value.name] for value in operands))
        reals = real if isinstance(real, tuple) else (real,)
        declared = [
            (("N", *real.shape[1:]) if real.ndim else (), _type(real, params)) for real in reals
        ]
        results = self._to.emit_many(op, operands, declared, name=op.name)
        self.real.update((value.name, real) for value, real in zip(results, reals, strict=True))
        return results

    def layer(
        self,
        op: Convolution | Linear,
        x: Value,
        shape: tuple[int, ...],
        grid: QParams | None,
        *addend: Value,
    ) -> Value:
        """A layer with random weights of `shape`; without a grid, its accumulator."""
        params = per_tensor(self.scale(), 0, widest())
        weight = self.constant("weight", self.integers(shape, params, Fill.RANDOM), params)
        bias = self.bias(x, weight, 1000 * self.normal(shape[:1]))
        return self.emit(op, x, weight, bias, *addend, params=grid or bias.params)

    def sized(self, x: Value, shape: tuple[int, ...], op: Convolution | Linear) -> Value:
        """Random weights with which the layer's results are of magnitude 0.3 to 10."""
        q = self.integers(shape, per_tensor(1.0, 0, widest()), Fill.RANDOM)
        found = op.run(self.real[x.name], q.to(torch.float64), torch.zeros(shape[0]).double())
        largest = max(float(found.abs().max()), 1e-3)
        params = per_tensor(10.0 ** self.number(-0.5, 1.0) / largest, 0, widest())
        return self.constant("weight", q, params)

    def size(self, op: SizeOf | SizeArithmetic, *operands: Value) -> Value:
        """A node that computes a size."""
        result = self._to.emit(op, *operands, shape=("?",), type=Size(), name=op.name)
        self.real[result.name] = op.run(*(self.real[value.name] for value in operands))
        return result

    def case(
        self, *results: Value, islands: Mapping[str, str] | None = None, verified: bool = True
    ) -> Case:
        """The finished program; its quantized results are dequantized.

        It is verified, unless it is for one batch only, or nobody would make it.
        """
        outputs = [
            value if value.params is None else self.emit(Dequantize(), value) for value in results
        ]
        structure = structure_of(outputs if len(outputs) > 1 else outputs[0])
        provenance = Provenance(input_shapes=self._sample_shapes())
        program = Program(self._to.done(outputs, structure), islands or {}, provenance)
        if verified:
            program.verify()
        return Case(program, tuple(self._inputs))

    def _sample_shapes(self) -> tuple[tuple[int, ...], ...]:
        if self._sample is Sample.UNKNOWN:
            return ()
        more = 7 if self._sample is Sample.LARGER else 0
        return tuple((1, *x.shape[1:2], *(n + more for n in x.shape[2:])) for x in self._inputs)


def widest() -> IntegerType:
    """The weights that every engine runs on this CPU: 8 bits, or 7 where pairs saturate."""
    return IntegerType(7, signed=True) if cpu().pairs_saturate else INT8


def _type(real: Tensor, params: QParams | None) -> ValueType:
    if params is not None:
        return Quantized(params)
    return Plain() if real.is_floating_point() else Plain(real.dtype)


def laid_out(x: Tensor, layout: Layout) -> Tensor:
    """The same numbers in another memory layout."""
    if layout is Layout.CHANNELS_LAST and x.ndim == 4:
        return x.contiguous(memory_format=torch.channels_last)
    return torch.stack([x, x], -1)[..., 0] if layout is Layout.STRIDED else x.contiguous()


def accumulator(x: Value, weight: Value, axis: int) -> QParams:
    """The grid of a layer's int32 accumulator: the scale s_x s_w, for each channel along `axis`."""
    assert x.params is not None
    assert weight.params is not None
    product = x.params.scale.to(torch.float64) * weight.params.scale.to(torch.float64)
    scale = product.to(torch.float32)
    zero_point = torch.zeros_like(scale, dtype=torch.int32)
    return QParams(scale, zero_point, INT32, axis if scale.ndim else None)


# --- grids, contents and bounds ------------------------------------------------------------------


@dataclass(frozen=True)
class Wish:
    """What a result's grid should be like: its width, its zero point, and how much saturates.

    `gain` is the ratio of the grid's range to the range of the results.
    """

    bits: int
    zero_point: int
    gain: float

    def grid(self, draft: Draft, spread: float) -> QParams:
        """The grid for results of magnitude `spread`."""
        step = 2.0 * spread * self.gain / (1 << self.bits) * draft.number(0.7, 1.4)
        scale = step if spread > 0.0 else draft.scale()
        return per_tensor(scale, self.zero_point, IntegerType(self.bits, signed=False))


class Bounds(Enum):
    """Activations, as multiples of the results' magnitude."""

    NONE = (None, None)
    RELU = (0.0, None)
    RELU6 = (0.0, 0.4)
    TWO_SIDED = (-0.3, 0.2)
    UPPER = (None, 0.1)

    def of(self, spread: float) -> tuple[float | None, float | None]:
        """The real bounds for results of magnitude `spread`."""
        low, high = self.value
        return (None if low is None else low * spread, None if high is None else high * spread)


BITS = st.sampled_from([8, 8, 8, 7, 6, 5, 4, 3, 2])
SMALLEST_SPREAD = 0.01
"""What is left of the exponentials of float32 far below zero is nobody's grid."""

FILLS = st.sampled_from([Fill.RANDOM] * 6 + list(Fill))
BOUNDS = st.sampled_from(Bounds)
ROOM = st.sampled_from([0, 1, 2, 3, 5, 8, 13])
BATCHES = st.sampled_from([1, 1, 2, 5])


@composite
def drafts(draw: DrawFn) -> Draft:
    layout, sample = draw(st.sampled_from(Layout)), draw(st.sampled_from(Sample))
    return Draft(draw(st.integers(0, 2**31)), layout, sample)


@composite
def wishes(draw: DrawFn) -> Wish:
    bits = draw(BITS)
    zero_point = draw(st.one_of(st.just(0), st.integers(0, 2**bits - 1)))
    return Wish(bits, zero_point, draw(st.sampled_from([0.1, 0.5, 1.0, 1.0, 4.0])))


@composite
def activations(draw: DrawFn, draft: Draft, shape: tuple[int, ...]) -> Value:
    """A quantized input of any grid, with any contents."""
    wish = draw(wishes())
    params = per_tensor(draft.scale(), wish.zero_point, IntegerType(wish.bits, signed=False))
    return draft.activation(shape, params, draw(FILLS))


@composite
def weights(draw: DrawFn, draft: Draft, shape: tuple[int, ...]) -> Value:
    """Symmetric weights of 2 to 8 bits, with one scale or one for each output channel."""
    per_channel = draw(st.booleans())
    base, count = draft.scale(), shape[0] if per_channel else 1
    scale = torch.tensor([base * draft.number(0.3, 1.0) for _ in range(count)])
    if not per_channel:
        scale = scale[0]
    zero_point = torch.zeros_like(scale, dtype=torch.int32)
    type = IntegerType(draw(BITS), signed=True)
    params = QParams(scale, zero_point, type, axis=0 if per_channel else None)
    return draft.constant("weight", draft.integers(shape, params, draw(FILLS)), params)


@composite
def biases(draw: DrawFn, draft: Draft, x: Value, weight: Value) -> Value:
    """Biases from nothing to about as much as the sums they are added to."""
    largest = draw(st.sampled_from([0, 100, 10_000]))
    count = int(weight.shape[0])
    q = torch.tensor([int(draft.number(-largest, largest)) for _ in range(count)])
    return draft.bias(x, weight, q)


@composite
def images(draw: DrawFn, low: int = 1, high: int = 12) -> tuple[int, int, int, int]:
    """Shapes (N, C, H, W): one image and one pixel included, odd sizes too."""
    batch, channels = draw(BATCHES), draw(st.sampled_from([1, 2, 3, 8, 17]))
    return batch, channels, draw(st.integers(low, high)), draw(st.integers(low, high))


def magnitude(draft: Draft, *values: Value) -> float:
    """The greatest absolute value among the real numbers of some values."""
    return max(float(draft.real[value.name].abs().max()) for value in values)


# --- windows --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Window:
    """One dimension of a sliding window, and an input length that it fits into."""

    kernel: int
    stride: int
    padding: int
    dilation: int
    length: int


@composite
def windows(draw: DrawFn) -> Window:
    kernel, dilation = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    padding = draw(st.integers(0, 3))
    shortest = max(1, dilation * (kernel - 1) + 1 - 2 * padding)
    length = shortest + draw(ROOM)
    return Window(kernel, draw(st.integers(1, 3)), padding, dilation, length)


@composite
def pools(draw: DrawFn, *, longest_dilation: int) -> Window:
    """A window as torch allows it for pooling: padded by at most half of it."""
    kernel, dilation = draw(st.integers(1, 4)), draw(st.integers(1, longest_dilation))
    padding = draw(st.integers(0, kernel // 2))
    shortest = max(1, dilation * (kernel - 1) + 1 - 2 * padding)
    length = shortest + draw(ROOM)
    return Window(kernel, draw(st.integers(1, 4)), padding, dilation, length)


# --- results of their own grid -------------------------------------------------------------------


@composite
def averages(draw: DrawFn, op: Op, shape: tuple[int, ...]) -> Case:
    """An operator on one activation, whose result has a grid of its own."""
    draft = draw(drafts())
    x = draw(activations(draft, shape))
    spread = float(op.run(draft.real[x.name]).abs().max())
    return draft.case(draft.emit(op, x, params=draw(wishes()).grid(draft, spread)))
