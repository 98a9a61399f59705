"""One-operator programs and inputs for them, drawn by hypothesis: what an executor is checked with.

    float32 on the grid --> quantize --> operator --> dequantize --> float32

Inputs lie on the grid of their quantizer, so that an operator meets the very integers that were
drawn however an engine rounds; an output is s (q - z), so that its integer can be read off it.

`CASES` maps a title to a strategy. A title is the operator's name in `zeropoint.ops.OPS`, and after
a comma what is special. `suite.py` runs an executor on all of them. Scales are random numbers, not
round ones: where M is a power of two every other result is a tie, and engines break ties either
way.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

import torch
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy, composite
from hypothesis.vendor.pretty import RepresentationPrinter
from torch import Tensor

from zeropoint.arithmetic.integer import INT8, INT32, IntegerType
from zeropoint.arithmetic.qparams import QParams, broadcast, dequantize, per_tensor
from zeropoint.graph.build import Builder
from zeropoint.graph.op import Op
from zeropoint.graph.structure import structure_of
from zeropoint.graph.value import Plain, Quantized, Size, Value
from zeropoint.ops.add import Add
from zeropoint.ops.batch_norm import BatchNorm
from zeropoint.ops.clamp import Clamp
from zeropoint.ops.concat import Concat
from zeropoint.ops.conv import Conv2d
from zeropoint.ops.linear import Linear
from zeropoint.ops.opaque import Opaque
from zeropoint.ops.pad import Pad
from zeropoint.ops.pool import AdaptiveAveragePool2d, AveragePool2d, GlobalAveragePool, MaxPool2d
from zeropoint.ops.quantize import Dequantize, Quantize, Requantize
from zeropoint.ops.shape import COMPUTED, INFER, KEEP, Flatten, Reshape, SizeArithmetic, SizeOf
from zeropoint.program.program import Program
from zeropoint.program.provenance import Provenance


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
        """A real constant, for an island."""
        value = self._to.constant(name, tensor)
        self.real[value.name] = tensor.to(torch.float64)
        return value

    def emit(self, op: Op, *operands: Value, params: QParams | None = None) -> Value:
        """A node; its result is quantized with `params`, or float."""
        (result,) = self.emit_many(op, *operands, params=params)
        return result

    def emit_many(self, op: Op, *operands: Value, params: QParams | None = None) -> list[Value]:
        """A node with as many results as its operator has."""
        real = op.run(*(self.real[value.name] for value in operands))
        reals = real if isinstance(real, tuple) else (real,)
        type = Plain() if params is None else Quantized(params)
        declared = [(("N", *real.shape[1:]), type) for real in reals]
        results = self._to.emit_many(op, operands, declared, name=op.name)
        self.real.update((value.name, real) for value, real in zip(results, reals, strict=True))
        return results

    def layer(
        self,
        op: Conv2d | Linear,
        x: Value,
        shape: tuple[int, ...],
        grid: QParams | None,
        *addend: Value,
    ) -> Value:
        """A layer with random weights of `shape`; without a grid, its accumulator."""
        params = per_tensor(self.scale(), 0, INT8)
        weight = self.constant("weight", self.integers(shape, params, Fill.RANDOM), params)
        bias = self.bias(x, weight, 1000 * self.normal(shape[:1]))
        return self.emit(op, x, weight, bias, *addend, params=grid or bias.params)

    def size(self, op: SizeOf | SizeArithmetic, *operands: Value) -> Value:
        """A node that computes a size."""
        result = self._to.emit(op, *operands, shape=("?",), type=Size(), name=op.name)
        self.real[result.name] = op.run(*(self.real[value.name] for value in operands))
        return result

    def case(self, *results: Value, islands: Mapping[str, str] | None = None) -> Case:
        """The finished program, verified; its quantized results are dequantized."""
        outputs = [
            value if value.params is None else self.emit(Dequantize(), value) for value in results
        ]
        structure = structure_of(outputs if len(outputs) > 1 else outputs[0])
        provenance = Provenance(input_shapes=self._sample_shapes())
        program = Program(self._to.done(outputs, structure), islands or {}, provenance)
        program.verify()
        return Case(program, tuple(self._inputs))

    def _sample_shapes(self) -> tuple[tuple[int, ...], ...]:
        if self._sample is Sample.UNKNOWN:
            return ()
        more = 7 if self._sample is Sample.LARGER else 0
        return tuple((1, *x.shape[1:2], *(n + more for n in x.shape[2:])) for x in self._inputs)


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


# --- convolution and linear ----------------------------------------------------------------------


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
def conv2d(draw: DrawFn, *, addend: bool = False, wide: bool = False) -> Case:
    draft, rows, columns = draw(drafts()), draw(windows()), draw(windows())
    groups = draw(st.sampled_from([1, 1, 2, 3, 8]))
    per_group = draw(st.sampled_from([1, 1, 2, 5, 16]))
    outputs = groups * draw(st.sampled_from([1, 2, 7, 16] if groups == 1 else [1, 1, 2, 4]))
    shape = (draw(BATCHES), groups * per_group, rows.length, columns.length)
    x = draw(activations(draft, shape))
    weight = draw(weights(draft, (outputs, per_group, rows.kernel, columns.kernel)))
    bias = draw(biases(draft, x, weight))
    op = Conv2d(
        stride=(rows.stride, columns.stride),
        padding=(rows.padding, columns.padding),
        dilation=(rows.dilation, columns.dilation),
        groups=groups,
    )
    if wide:
        return draft.case(draft.emit(op, x, weight, bias, params=accumulator(x, weight, axis=1)))
    result = op.run(*(draft.real[value.name] for value in (x, weight, bias)))
    spread, operands = float(result.abs().max()), [x, weight, bias]
    if addend:
        operands.append(draw(activations(draft, tuple(result.shape))))
        spread = max(spread, magnitude(draft, operands[-1]))
    low, high = draw(BOUNDS).of(spread)
    bounded = replace(op, low=low, high=high)
    return draft.case(
        draft.emit(bounded, *operands, params=draw(wishes()).grid(draft, spread)),
    )


@composite
def linear(draw: DrawFn, *, wide: bool = False, flat: bool = False) -> Case:
    draft, outputs = draw(drafts()), draw(st.sampled_from([1, 3, 16, 50]))
    if flat:
        x = draw(activations(draft, draw(images())))
        x = draft.emit(Flatten(), x, params=x.params)
    else:
        middle = draw(st.sampled_from([(), (), (4,), (2, 3)]))
        features = draw(st.sampled_from([1, 2, 17, 64]))
        x = draw(activations(draft, (draw(st.integers(1, 9)), *middle, features)))
    weight = draw(weights(draft, (outputs, int(x.shape[-1]))))
    bias = draw(biases(draft, x, weight))
    if wide:
        grid = accumulator(x, weight, axis=len(x.shape) - 1)
        return draft.case(draft.emit(Linear(), x, weight, bias, params=grid))
    result = Linear().run(*(draft.real[value.name] for value in (x, weight, bias)))
    spread = float(result.abs().max())
    op = Linear(*draw(BOUNDS).of(spread))
    grid = draw(wishes()).grid(draft, spread)
    return draft.case(draft.emit(op, x, weight, bias, params=grid))


# --- elementwise ---------------------------------------------------------------------------------


@composite
def add(draw: DrawFn, *, broadcasting: bool = False) -> Case:
    draft, shape = draw(drafts()), draw(images())
    a = draw(activations(draft, shape))
    other = (shape[0], shape[1], 1, 1) if broadcasting else shape
    b = draw(activations(draft, other))
    spread = magnitude(draft, a, b)
    op = Add(*draw(BOUNDS).of(spread))
    operands = (a, b) if draw(st.booleans()) else (b, a)
    return draft.case(draft.emit(op, *operands, params=draw(wishes()).grid(draft, spread)))


@composite
def clamp(draw: DrawFn) -> Case:
    draft = draw(drafts())
    x = draw(activations(draft, draw(images())))
    bounds = draw(BOUNDS.filter(lambda bounds: bounds is not Bounds.NONE))
    op = Clamp(*bounds.of(magnitude(draft, x)))
    return draft.case(draft.emit(op, x, params=x.params))


@composite
def requantize(draw: DrawFn) -> Case:
    draft = draw(drafts())
    x = draw(activations(draft, draw(images())))
    wish = draw(wishes())
    return draft.case(draft.emit(Requantize(), x, params=wish.grid(draft, magnitude(draft, x))))


@composite
def dequantize_only(draw: DrawFn) -> Case:
    draft = draw(drafts())
    return draft.case(draw(activations(draft, draw(images()))))


@composite
def quantize(draw: DrawFn) -> Case:
    """Real numbers between the grid's points, and far outside the grid."""
    draft, wish = draw(drafts()), draw(wishes())
    reals = draft.normal(draw(images())) * draft.scale()
    x = draft.input(reals)
    grid = wish.grid(draft, magnitude(draft, x))
    return draft.case(draft.emit(Quantize(), x, params=grid))


# --- moving and comparing ------------------------------------------------------------------------


@composite
def concat(draw: DrawFn) -> Case:
    """Two or three parts, some of them on the result's grid already, some only nearly."""
    draft, wish, shape = draw(drafts()), draw(wishes()), draw(images())
    axis = draw(st.sampled_from([1, 1, 2, 3]))
    out = per_tensor(draft.scale(), wish.zero_point, IntegerType(wish.bits, signed=False))
    parts = []
    for tied in draw(st.lists(st.booleans(), min_size=1, max_size=3)):
        extent = tuple(draw(st.integers(1, 6)) if i == axis else n for i, n in enumerate(shape))
        same = draft.activation(extent, out, draw(FILLS)) if tied else None
        parts.append(same or draw(activations(draft, extent)))
    return draft.case(draft.emit(Concat(axis), *parts, params=out))


@composite
def pad(draw: DrawFn) -> Case:
    draft = draw(drafts())
    x = draw(activations(draft, draw(images())))
    amounts = draw(st.tuples(*[st.integers(0, 3)] * draw(st.sampled_from([2, 4]))))
    return draft.case(draft.emit(Pad(amounts), x, params=x.params))


@composite
def flatten(draw: DrawFn) -> Case:
    draft = draw(drafts())
    x = draw(activations(draft, draw(images())))
    start = draw(st.integers(1, 3))
    op = Flatten(start, draw(st.sampled_from([-1, *range(start, 4)])))
    return draft.case(draft.emit(op, x, params=x.params))


@composite
def reshape(draw: DrawFn) -> Case:
    draft, (batch, channels, height, width) = draw(drafts()), draw(images())
    x = draw(activations(draft, (batch, channels, height, width)))
    shapes = [(KEEP, INFER), (KEEP, height * width, channels), (KEEP, width, INFER, height)]
    return draft.case(draft.emit(Reshape(draw(st.sampled_from(shapes))), x, params=x.params))


@composite
def sizes(draw: DrawFn) -> Case:
    """x.reshape(x.shape[0], x.shape[2] * x.shape[3], channels), all sizes computed."""
    draft = draw(drafts())
    x = draw(activations(draft, draw(images())))
    batch, height, width = (draft.size(SizeOf(axis), x) for axis in (0, 2, 3))
    area = draft.size(SizeArithmetic("mul", (None, None)), height, width)
    op = Reshape((COMPUTED, COMPUTED, INFER))
    return draft.case(draft.emit(op, x, batch, area, params=x.params))


# --- pooling -------------------------------------------------------------------------------------


@composite
def pools(draw: DrawFn, *, longest_dilation: int) -> Window:
    """A window as torch allows it for pooling: padded by at most half of it."""
    kernel, dilation = draw(st.integers(1, 4)), draw(st.integers(1, longest_dilation))
    padding = draw(st.integers(0, kernel // 2))
    shortest = max(1, dilation * (kernel - 1) + 1 - 2 * padding)
    length = shortest + draw(ROOM)
    return Window(kernel, draw(st.integers(1, 4)), padding, dilation, length)


@composite
def max_pool2d(draw: DrawFn) -> Case:
    draft = draw(drafts())
    rows, columns = draw(pools(longest_dilation=2)), draw(pools(longest_dilation=2))
    shape = (draw(BATCHES), draw(st.integers(1, 9)), rows.length, columns.length)
    x = draw(activations(draft, shape))
    op = MaxPool2d(
        kernel=(rows.kernel, columns.kernel),
        stride=(rows.stride, columns.stride),
        padding=(rows.padding, columns.padding),
        dilation=(rows.dilation, columns.dilation),
        ceil_mode=draw(st.booleans()),
    )
    return draft.case(draft.emit(op, x, params=x.params))


@composite
def average_pool2d(draw: DrawFn) -> Case:
    rows, columns = draw(pools(longest_dilation=1)), draw(pools(longest_dilation=1))
    shape = (draw(BATCHES), draw(st.integers(1, 9)), rows.length, columns.length)
    op = AveragePool2d(
        kernel=(rows.kernel, columns.kernel),
        stride=(rows.stride, columns.stride),
        padding=(rows.padding, columns.padding),
        ceil_mode=draw(st.booleans()),
        count_include_pad=draw(st.booleans()),
    )
    return draw(averages(op, shape))


@composite
def averages(draw: DrawFn, op: Op, shape: tuple[int, ...]) -> Case:
    draft = draw(drafts())
    x = draw(activations(draft, shape))
    spread = float(op.run(draft.real[x.name]).abs().max())
    return draft.case(draft.emit(op, x, params=draw(wishes()).grid(draft, spread)))


@composite
def adaptive_average_pool2d(draw: DrawFn) -> Case:
    size = st.one_of(st.none(), st.integers(1, 7))
    return draw(averages(AdaptiveAveragePool2d((draw(size), draw(size))), draw(images())))


@composite
def global_average_pool(draw: DrawFn) -> Case:
    return draw(averages(GlobalAveragePool(keep=draw(st.booleans())), draw(images(high=15))))


# --- islands -------------------------------------------------------------------------------------


@composite
def batch_norm(draw: DrawFn) -> Case:
    draft, shape = draw(drafts()), draw(images())
    x = draft.input(draft.normal(shape))
    factors = [draft.normal((shape[1],)) for _ in range(4)]
    factors[-1] = factors[-1].abs() + 0.1  # the variance
    operands = [draft.float_constant(f"parameter{i}", f) for i, f in enumerate(factors)]
    y = draft.emit(BatchNorm(), x, *operands)
    return draft.case(y, islands={y.name: "zeropoint has no integer form for it here"})


@composite
def opaque(draw: DrawFn) -> Case:
    """An island between integers: quantize, dequantize, sigmoid, quantize, dequantize."""
    draft, shape, wish = draw(drafts()), draw(images()), draw(wishes())
    x = draft.emit(Dequantize(), draw(activations(draft, shape)))
    y = draft.emit(Opaque("aten.sigmoid.default", (("%", 0),)), x)
    z = draft.emit(Quantize(), y, params=wish.grid(draft, 1.0))
    return draft.case(z, islands={y.name: "zeropoint has no integer form for it"})


CASES: Mapping[str, SearchStrategy[Case]] = {
    "conv2d": conv2d(),
    "conv2d, addend": conv2d(addend=True),
    "conv2d, leaving as float32": conv2d(wide=True),
    "linear": linear(),
    "linear, after flatten": linear(flat=True),
    "linear, leaving as float32": linear(wide=True),
    "add": add(),
    "add, broadcasting": add(broadcasting=True),
    "clamp": clamp(),
    "concat": concat(),
    "requantize": requantize(),
    "quantize": quantize(),
    "dequantize": dequantize_only(),
    "pad": pad(),
    "flatten": flatten(),
    "reshape": reshape(),
    "size_of": sizes(),
    "size_arithmetic": sizes(),
    "max_pool2d": max_pool2d(),
    "average_pool2d": average_pool2d(),
    "adaptive_average_pool2d": adaptive_average_pool2d(),
    "global_average_pool": global_average_pool(),
    "batch_norm": batch_norm(),
    "opaque": opaque(),
}
