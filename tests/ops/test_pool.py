from fractions import Fraction
from itertools import product

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import Tensor

from tests.ops import naive
from zeropoint.arithmetic.integer import INT8, UINT8
from zeropoint.arithmetic.qparams import per_tensor
from zeropoint.arithmetic.requantize import Float32
from zeropoint.graph.build import Builder, float_graph
from zeropoint.graph.op import Grid, IntegerOp, Op, Role, Signature
from zeropoint.graph.value import Plain, Shape, Value
from zeropoint.ops.pool import (
    AdaptiveAveragePool2d,
    AveragePool2d,
    GlobalAveragePool,
    MaxPool2d,
    adaptive_average_pool,
    average_pool,
    max_pool,
    mean,
)
from zeropoint.ops.reduce import Mean

X = per_tensor(0.021, 100, UINT8)
Y = per_tensor(0.0173, 60, UINT8)


def codes(*shape: int, seed: int = 0) -> Tensor:
    q = torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(seed))
    return q.to(torch.uint8)


def integer_form(op: IntegerOp, x: Tensor) -> Tensor:
    out = X if op.grid is Grid.SHARED else Y
    y = op.run_integer([x], Signature((X,), out), Float32())
    assert y.dtype == torch.uint8
    return y


def average_of(pixels: list[int], count: int) -> int:
    """The code of the mean of `count` numbers, of which those that are not pixels are zeros."""
    total = sum(pixel - 100 for pixel in pixels)
    steps = Fraction(X.scale.item()) / Fraction(Y.scale.item()) * total / count
    return naive.rounded(steps, Y, 0, 255)


# --- max -----------------------------------------------------------------------------------------


@given(
    kernel=st.integers(1, 3),
    stride=st.integers(1, 3),
    dilation=st.integers(1, 2),
    ceil_mode=st.booleans(),
    seed=st.integers(0, 100),
)
def test_the_greatest_code_of_each_window_wins_and_padding_never_does(
    kernel: int, stride: int, dilation: int, ceil_mode: bool, seed: int
) -> None:
    padding = kernel // 2
    op = MaxPool2d((1, kernel), (1, stride), (0, padding), (1, dilation), ceil_mode)
    x = codes(1, 1, 1, 7, seed=seed)
    row = x[0, 0, 0].tolist()
    windows = [
        [
            row[start + tap * dilation]
            for tap in range(kernel)
            if 0 <= start + tap * dilation < len(row)
        ]
        for start in range(-padding, len(row) + padding, stride)
    ]
    y = integer_form(op, x)[0, 0, 0].tolist()
    assert y == [max(window) for window in windows[: len(y)]]


def test_planes_of_more_than_255_pixels_are_pooled() -> None:
    # torch's max_pool2d refuses those of uint8.
    x = codes(1, 2, 20, 20)
    y = integer_form(MaxPool2d((2, 2), (2, 2)), x)
    assert torch.equal(y, x.reshape(1, 2, 10, 2, 10, 2).amax((3, 5)))


def test_a_window_that_sees_only_padding_yields_the_lowest_code() -> None:
    op, x = MaxPool2d((2, 2), (1, 1), (1, 1), (3, 3)), torch.full((1, 1, 2, 2), 7)
    for params in (X, per_tensor(0.1, 0, INT8)):
        y = op.run_integer([x.to(params.type.storage)], Signature((params,), params), Float32())
        assert y.item() == params.low


# --- average -------------------------------------------------------------------------------------


@pytest.mark.parametrize("count_include_pad", [True, False])
@pytest.mark.parametrize("ceil_mode", [True, False])
@given(
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padded=st.tuples(st.booleans(), st.booleans()),
    size=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    seed=st.integers(0, 100),
)
def test_an_average_is_the_exact_mean_rounded_once(
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padded: tuple[bool, bool],
    size: tuple[int, int],
    seed: int,
    ceil_mode: bool,
    count_include_pad: bool,
) -> None:
    padding = (padded[0] * (kernel[0] // 2), padded[1] * (kernel[1] // 2))
    assume(all(n + 2 * p >= k for n, p, k in zip(size, padding, kernel, strict=True)))
    op = AveragePool2d(kernel, stride, padding, ceil_mode, count_include_pad)
    x = codes(1, 1, *size, seed=seed)
    y = integer_form(op, x)[0, 0]
    for i, j in product(*map(range, y.shape)):
        top, left = i * stride[0] - padding[0], j * stride[1] - padding[1]
        rows = range(top, min(top + kernel[0], size[0] + padding[0]))
        columns = range(left, min(left + kernel[1], size[1] + padding[1]))
        inside = [
            int(x[0, 0, r, c])
            for r, c in product(rows, columns)
            if 0 <= r < size[0] and 0 <= c < size[1]
        ]
        count = len(rows) * len(columns) if count_include_pad else len(inside)
        assert y[i, j] == average_of(inside, count)


@given(
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    windows=st.tuples(st.integers(1, 5), st.one_of(st.none(), st.integers(1, 5))),
    seed=st.integers(0, 100),
)
def test_an_adaptive_average_is_the_exact_mean_of_torch_s_windows(
    size: tuple[int, int], windows: tuple[int, int | None], seed: int
) -> None:
    x = codes(1, 1, *size, seed=seed)
    y = integer_form(AdaptiveAveragePool2d(windows), x)[0, 0]
    out = [wanted or length for wanted, length in zip(windows, size, strict=True)]
    assert list(y.shape) == out
    for i, j in product(*map(range, out)):
        rows = range(i * size[0] // out[0], -(-(i + 1) * size[0] // out[0]))
        columns = range(j * size[1] // out[1], -(-(j + 1) * size[1] // out[1]))
        inside = [int(x[0, 0, r, c]) for r, c in product(rows, columns)]
        assert y[i, j] == average_of(inside, len(inside))


@pytest.mark.parametrize("keep", [True, False])
def test_a_global_average_is_the_exact_mean_of_each_channel(keep: bool) -> None:
    x = codes(2, 3, 5, 7)
    y = integer_form(GlobalAveragePool(keep), x)
    assert y.shape == ((2, 3, 1, 1) if keep else (2, 3))
    for image, channel in product(range(2), range(3)):
        pixels = x[image, channel].flatten().tolist()
        assert y[image, channel].item() == average_of(pixels, 35)


def test_one_pixel_is_its_own_average() -> None:
    x = codes(2, 3, 1, 1)
    same = per_tensor(0.021, 100, UINT8)
    for op in (GlobalAveragePool(), AdaptiveAveragePool2d((1, 1)), AveragePool2d((1, 1), (1, 1))):
        assert torch.equal(op.run_integer([x], Signature((X,), same), Float32()), x)


# --- the float forms, and what the operators say of themselves -----------------------------------


def test_the_float_forms_are_torch_s() -> None:
    x = torch.randn(2, 3, 9, 7, generator=torch.Generator().manual_seed(0))
    F = torch.nn.functional
    pooled = F.max_pool2d(x, 3, 2, 1, ceil_mode=True)
    assert torch.equal(MaxPool2d((3, 3), (2, 2), (1, 1), ceil_mode=True).run(x), pooled)
    averaged = F.avg_pool2d(x, 3, 2, 1, ceil_mode=True, count_include_pad=False)
    op = AveragePool2d((3, 3), (2, 2), (1, 1), ceil_mode=True, count_include_pad=False)
    assert torch.equal(op.run(x), averaged)
    assert torch.equal(AdaptiveAveragePool2d((4, None)).run(x), F.adaptive_avg_pool2d(x, (4, None)))
    assert torch.equal(GlobalAveragePool().run(x), x.mean((2, 3), keepdim=True))
    assert torch.equal(GlobalAveragePool(keep=False).run(x), x.mean((2, 3)))


def test_a_maximum_stays_on_its_grid_and_averages_have_one_of_their_own() -> None:
    assert MaxPool2d.grid is Grid.SHARED
    assert AveragePool2d.grid is AdaptiveAveragePool2d.grid is GlobalAveragePool.grid is Grid.OWN
    ops: list[IntegerOp] = [
        MaxPool2d((2, 2), (2, 2)),
        AveragePool2d((2, 2), (2, 2)),
        AdaptiveAveragePool2d((1, 1)),
        GlobalAveragePool(),
    ]
    assert all(op.roles(1) == (Role.ACTIVATION,) for op in ops)


# --- capture -------------------------------------------------------------------------------------


def image(shape: Shape = ("N", 3, 8, 8)) -> tuple[Builder, Value]:
    return float_graph(shape)


def captured(to: Builder) -> list[Op]:
    return [node.op for node in to.nodes]


def test_a_missing_stride_is_the_kernel() -> None:
    to, x = image()
    max_pool(2)(to, x.shape, x, [3])
    average_pool(2)(to, x.shape, x, [2, 3])
    assert captured(to) == [MaxPool2d((3, 3), (3, 3)), AveragePool2d((2, 3), (2, 3))]


def test_options_are_kept() -> None:
    to, x = image()
    max_pool(2)(to, x.shape, x, [3, 3], [2, 2], [1, 1], [2, 2], True)
    average_pool(2)(to, x.shape, x, [3], [2], [1], True, False)
    assert captured(to) == [
        MaxPool2d((3, 3), (2, 2), (1, 1), (2, 2), True),
        AveragePool2d((3, 3), (2, 2), (1, 1), True, False),
    ]


def test_pooling_to_one_pixel_is_the_global_average() -> None:
    to, x = image()
    adaptive_average_pool(2)(to, x.shape, x, [1, 1])
    mean(to, x.shape, x, [2, 3], True)
    mean(to, x.shape, x, [-1, -2])
    adaptive_average_pool(2)(to, x.shape, x, [1, 7])
    assert captured(to) == [
        GlobalAveragePool(),
        GlobalAveragePool(),
        GlobalAveragePool(keep=False),
        AdaptiveAveragePool2d((1, 7)),
    ]


def test_pooling_that_has_no_integer_form_says_why() -> None:
    to, x = image()
    _, flat = image((3, 8, 8))
    size = to.input("size", (1,))
    unbatched = "its input has no batch dimension"
    assert max_pool(2)(to, flat.shape, flat, [2]) == unbatched
    assert average_pool(2)(to, flat.shape, flat, [2]) == unbatched
    assert adaptive_average_pool(2)(to, flat.shape, flat, [1, 1]) == unbatched
    assert average_pool(2)(to, x.shape, x, [2], divisor_override=3) == (
        "divisor_override=3 has no integer form yet"
    )
    computed: list[int] = [1, size]  # type: ignore[list-item]  # what torch.export may hand
    assert adaptive_average_pool(2)(to, x.shape, x, computed) == (
        "its output size is computed at run time"
    )


@pytest.mark.parametrize(
    ("axes", "op"),
    [
        ([1], Mean((1,))),
        ([-1], Mean((3,))),
        ([3, 1], Mean((1, 3))),
        ([3, 2], GlobalAveragePool(False)),
    ],
)
def test_a_mean_is_over_any_dimensions_but_the_batch(axes: list[int], op: Op) -> None:
    to, x = image()
    mean(to, x.shape, x, axes)
    assert captured(to) == [op]
    assert mean(to, x.shape, x, [0, 1]) == "it reduces the batch, which may be of any size"
    assert mean(to, x.shape, x, None) == "it reduces the batch, which may be of any size"


def test_a_mean_of_indices_makes_an_island() -> None:
    to = Builder()
    x = to.input("x", ("N", 3, 8, 8), Plain(torch.int64))
    assert mean(to, x.shape, x, [2, 3]) == "it computes with integers"
