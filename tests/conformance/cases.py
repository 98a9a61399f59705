"""What an executor is checked with: strategies for programs of one operator, by title.

A title is the operator's name in `zeropoint.ops.OPS`, and after a comma what is special. `suite.py`
runs an executor on all of `CASES`; how the programs are drawn is in draft.py.
"""

from collections.abc import Mapping
from dataclasses import replace

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy, composite

from tests.conformance import movements, reductions, sliding
from tests.conformance.draft import (
    BATCHES,
    BOUNDS,
    FILLS,
    SMALLEST_SPREAD,
    Bounds,
    Case,
    Draft,
    accumulator,
    activations,
    averages,
    biases,
    drafts,
    images,
    magnitude,
    pools,
    weights,
    windows,
    wishes,
)
from zeropoint.arithmetic.integer import IntegerType
from zeropoint.arithmetic.qparams import per_tensor
from zeropoint.graph.value import Value
from zeropoint.ops.add import Add
from zeropoint.ops.batch_norm import BatchNorm
from zeropoint.ops.clamp import Clamp
from zeropoint.ops.concat import Concat
from zeropoint.ops.conv import Conv2d
from zeropoint.ops.extremes import Maximum, Minimum
from zeropoint.ops.functions import Steps
from zeropoint.ops.linear import Linear
from zeropoint.ops.mul import Mul
from zeropoint.ops.opaque import Opaque
from zeropoint.ops.pad import Pad
from zeropoint.ops.pool import AdaptiveAveragePool2d, AveragePool2d, GlobalAveragePool, MaxPool2d
from zeropoint.ops.quantize import Dequantize, Quantize, Requantize
from zeropoint.ops.shape import COMPUTED, INFER, KEEP, Flatten, Reshape, SizeArithmetic, SizeOf
from zeropoint.ops.table import Table

# --- convolution and linear ----------------------------------------------------------------------


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


# --- functions -----------------------------------------------------------------------------------

TAME_FUNCTIONS: tuple[Steps, ...] = (
    (("silu", "x"),),
    (("silu", "x", 1.702),),
    (("hardswish", "x"),),
    (("hardsigmoid", "x"),),
    (("sigmoid", "x"),),
    (("tanh", "x"),),
    (("gelu", "x"),),
    (("gelu_tanh", "x"),),
    (("mish", "x"),),
    (("elu", "x", 0.7),),
    (("softplus", "x", 1.3, 20.0),),
    (("leaky_relu", "x", 0.1),),
    (("log_sigmoid", "x"),),
    (("abs", "x"),),
    (("softsign", "x"),),
    (("softshrink", "x", 0.3),),
    (("clamp", "x", 0.0, None), ("square", "x1"), ("mul", "x2", 0.9), ("add", "x3", -0.4)),
    (("neg", "x"), ("sub", 0.3, "x1"), ("div", "x2", 1.7), ("clamp", "x3", -1.0, 1.0)),
    (("tanh", "x"), ("sub", "x", "x1")),
)
"""What layers may apply to their accumulators."""

FUNCTIONS: tuple[Steps, ...] = (
    *TAME_FUNCTIONS,
    (("exp", "x"),),
    (("log", "x"),),
    (("sqrt", "x"),),
    (("rsqrt", "x"),),
    (("reciprocal", "x"),),
    (("sin", "x"),),
    (("cos", "x"), ("mul", "x", "x1")),
    (("pow", "x", 3.0),),
    (("pow", 2.0, "x"),),
    (("sign", "x"),),
    (("atan", "x"),),
    (("abs", "x"), ("add", "x1", 1.0), ("div", "x", "x2")),
    (("greater", "x", 0.2), ("where", "x1", "x", -0.3)),
    (("exp", "x"), ("maximum", "x", "x1"), ("minimum", "x2", "x1")),
)


@composite
def table(draw: DrawFn) -> Case:
    """A function of numbers of magnitude 0.3 to 10, where functions bend."""
    draft, wish = draw(drafts()), draw(wishes())
    scale = 10.0 ** draft.number(-0.5, 1.0) / (1 << wish.bits)
    x = draft.activation(
        draw(images()),
        per_tensor(scale, wish.zero_point, IntegerType(wish.bits, signed=False)),
        draw(FILLS),
    )
    op = Table(draw(st.sampled_from(FUNCTIONS)))
    real = op.run(draft.real[x.name])
    known = real[real.isfinite()].abs()
    spread = min(float(known.max()), 100.0) if known.numel() else 0.0
    return draft.case(draft.emit(op, x, params=draw(wishes()).grid(draft, spread)))


@composite
def function_of_conv2d(draw: DrawFn, *, addend: bool = False) -> Case:
    """Convolutions whose results are of magnitude 0.3 to 10, and functions of them."""
    draft, shape = draw(drafts()), draw(images(low=3))
    x = draw(activations(draft, shape))
    outputs = draw(st.sampled_from([1, 3, 16]))
    kernel = draw(st.sampled_from([1, 3]))
    padding = (kernel // 2, kernel // 2)
    weight = draft.sized(x, (outputs, shape[1], kernel, kernel), Conv2d(padding=padding))
    operands = [x, weight, draw(biases(draft, x, weight))]
    if addend:
        params = per_tensor(10.0 ** draft.number(-0.5, 1.0) / 256, 77, IntegerType(8, signed=False))
        operands.append(draft.activation((shape[0], outputs, *shape[2:]), params, draw(FILLS)))
    bounds = draw(st.sampled_from([(None, None), (None, None), (-0.2, 0.9)]))
    op = Conv2d(padding=padding, low=bounds[0], high=bounds[1])
    return draw(functions_of(op, draft, operands))


@composite
def function_of_linear(draw: DrawFn) -> Case:
    draft, features = draw(drafts()), draw(st.sampled_from([1, 17, 64]))
    middle = draw(st.sampled_from([(), (4,)]))
    x = draw(activations(draft, (draw(st.integers(1, 9)), *middle, features)))
    weight = draft.sized(x, (draw(st.sampled_from([1, 3, 16])), features), Linear())
    return draw(functions_of(Linear(), draft, [x, weight, draw(biases(draft, x, weight))]))


@composite
def functions_of(draw: DrawFn, op: Conv2d | Linear, draft: Draft, operands: list[Value]) -> Case:
    op = replace(op, function=draw(st.sampled_from(TAME_FUNCTIONS)))
    largest = op.run(*(draft.real[value.name].clone() for value in operands)).abs().max()
    spread = max(float(largest), SMALLEST_SPREAD)
    return draft.case(draft.emit(op, *operands, params=draw(wishes()).grid(draft, spread)))


# --- arithmetic between values -------------------------------------------------------------------


@composite
def pairs(draw: DrawFn, draft: Draft, *, broadcasting: bool, constant: bool) -> list[Value]:
    """Two operands, in either order: alike, one of another shape, or one of them a constant."""
    shape = draw(images())
    a = draw(activations(draft, shape))
    other = shape
    if broadcasting:
        batch, channels, height, width = shape
        other = draw(
            st.sampled_from(
                [(batch, channels, 1, 1), (batch, 1, height, width), (batch, channels, height, 1)]
            )
        )
    if constant:
        wish = draw(wishes())
        params = per_tensor(draft.scale(), wish.zero_point, IntegerType(wish.bits, signed=False))
        q = draft.integers((1, *other[1:]), params, draw(FILLS))
        b = draft.constant("constant", q, params)
    else:
        b = draw(activations(draft, other))
    return [a, b] if draw(st.booleans()) else [b, a]


@composite
def add(
    draw: DrawFn, *, broadcasting: bool = False, constant: bool = False, scaled: bool = False
) -> Case:
    draft = draw(drafts())
    operands = draw(pairs(draft, broadcasting=broadcasting, constant=constant))
    alpha = draw(st.sampled_from([-1.0, -1.0, 0.3, 2.7, -0.01])) if scaled else 1.0
    spread = magnitude(draft, *operands)
    low, high = draw(BOUNDS).of(spread)
    op = Add(low, high, alpha)
    return draft.case(draft.emit(op, *operands, params=draw(wishes()).grid(draft, spread)))


@composite
def mul(draw: DrawFn, *, broadcasting: bool = False, constant: bool = False) -> Case:
    draft = draw(drafts())
    a, b = draw(pairs(draft, broadcasting=broadcasting, constant=constant))
    spread = magnitude(draft, a) * magnitude(draft, b)
    op = Mul(*draw(BOUNDS).of(spread))
    return draft.case(draft.emit(op, a, b, params=draw(wishes()).grid(draft, spread)))


@composite
def extreme(draw: DrawFn, op: Maximum | Minimum) -> Case:
    draft, broadcasting = draw(drafts()), draw(st.booleans())
    operands = draw(pairs(draft, broadcasting=broadcasting, constant=False))
    grid = draw(wishes()).grid(draft, magnitude(draft, *operands))
    same = draw(st.booleans())
    return draft.case(
        draft.emit(op, *operands, params=operands[0].params if same else grid),
    )


# --- elementwise ---------------------------------------------------------------------------------


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
    **movements.CASES,
    **sliding.CASES,
    **reductions.CASES,
    "conv2d": conv2d(),
    "conv2d, addend": conv2d(addend=True),
    "conv2d, leaving as float32": conv2d(wide=True),
    "conv2d, function": function_of_conv2d(),
    "conv2d, function after addend": function_of_conv2d(addend=True),
    "linear": linear(),
    "linear, after flatten": linear(flat=True),
    "linear, leaving as float32": linear(wide=True),
    "linear, function": function_of_linear(),
    "table": table(),
    "add": add(),
    "add, broadcasting": add(broadcasting=True),
    "add, scaled": add(scaled=True),
    "add, of a constant": add(constant=True),
    "mul": mul(),
    "mul, broadcasting": mul(broadcasting=True),
    "mul, by a constant": mul(constant=True),
    "maximum": extreme(Maximum()),
    "minimum": extreme(Minimum()),
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
