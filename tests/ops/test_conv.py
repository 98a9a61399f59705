from dataclasses import replace
from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.ops import naive
from zeropoint.arithmetic.integer import INT8, INT32, UINT8
from zeropoint.arithmetic.qparams import QParams, dequantize, per_tensor
from zeropoint.arithmetic.requantize import FixedPoint, Float32
from zeropoint.errors import ProgramError
from zeropoint.graph.build import Builder, float_graph
from zeropoint.graph.graph import Node
from zeropoint.graph.op import Role, Signature
from zeropoint.graph.value import UNKNOWN, Shape, Value
from zeropoint.ops.conv import Conv1d, Conv2d, Conv3d, conv
from zeropoint.ops.conv_transpose import convolution
from zeropoint.ops.pad import Pad

X = per_tensor(0.02, 100, UINT8)
W = per_tensor(0.005, 0, INT8)
B = per_tensor(float((X.scale.double() * W.scale.double()).float()), 0, INT32)


def codes(shape: tuple[int, ...], params: QParams = X, seed: int = 0) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    q = torch.randint(params.low, params.high + 1, shape, generator=random)
    return q.to(params.type.storage)


def bias_of(count: int) -> Tensor:
    return torch.arange(-count, count, 2, dtype=torch.int32) * 1000


# --- the integer form ----------------------------------------------------------------------------


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[Conv2d, tuple[int, ...], tuple[int, ...]]:
    """An operator, the shape of its image and that of its weight; all of them tiny."""
    pair = st.tuples(st.integers(1, 2), st.integers(1, 2))
    kernel, padding = draw(pair), draw(st.tuples(st.integers(0, 2), st.integers(0, 2)))
    groups, inputs, outputs = (draw(st.integers(1, 2)) for _ in range(3))
    op = Conv2d(draw(pair), padding, draw(pair), groups)
    size = draw(st.tuples(st.integers(3, 5), st.integers(3, 5)))
    return op, (1, groups * inputs, *size), (groups * outputs, inputs, *kernel)


@given(convolutions(), st.integers(0, 100))
def test_accumulators_are_sums_of_products_of_centred_integers(
    tiny: tuple[Conv2d, tuple[int, ...], tuple[int, ...]], seed: int
) -> None:
    op, image, kernel = tiny
    x, w, b = codes(image, seed=seed), codes(kernel, W, seed), bias_of(kernel[0])
    found = op.accumulate((x, w, b), Signature((X, W, B), B))
    expected = naive.conv2d(naive.centred(x, X), naive.centred(w, W), b.tolist(), op)
    assert found.dtype == torch.int32
    assert found.tolist() == expected.tolist()


def test_weights_may_have_a_zero_point() -> None:
    params = QParams(torch.tensor([0.1, 0.2]), torch.tensor([5, -7], dtype=torch.int32), INT8, 0)
    x, w, b = codes((1, 2, 4, 4)), codes((2, 2, 3, 3), params), bias_of(2)
    found = Conv2d().accumulate((x, w, b), Signature((X, params, B), B))
    expected = naive.conv2d(naive.centred(x, X), naive.centred(w, params), b.tolist(), Conv2d())
    assert found.tolist() == expected.tolist()


def test_results_are_accumulators_rounded_to_the_output_s_grid() -> None:
    out = per_tensor(0.31, 90, UINT8)
    x, w, b = codes((2, 2, 5, 5)), codes((4, 2, 3, 3), W), bias_of(4)
    found = Conv2d().run_integer((x, w, b), Signature((X, W, B), out), Float32())
    exact = naive.conv2d(naive.centred(x, X), naive.centred(w, W), b.tolist(), Conv2d())
    m = Fraction(X.scale.item()) * Fraction(W.scale.item()) / Fraction(out.scale.item())
    expected = [naive.rounded(m * a, out, 0, 255) for a in exact.flatten().tolist()]
    assert found.dtype == torch.uint8
    assert found.flatten().tolist() == expected


def test_every_output_channel_has_its_scale() -> None:
    scale = torch.tensor([0.005, 0.05])
    params = QParams(scale, torch.zeros(2, dtype=torch.int32), INT8, axis=0)
    x, w = torch.full((1, 1, 2, 2), 110, dtype=torch.uint8), torch.ones(2, 1, 1, 1).to(torch.int8)
    none = torch.zeros(2, dtype=torch.int32)
    out = per_tensor(0.001, 0, UINT8)
    y = Conv2d().run_integer((x, w, none), Signature((X, params, B), out), Float32())
    assert y[0, :, 0, 0].tolist() == [1, 10]  # 0.2 * 0.005, 0.2 * 0.05


def test_padding_stands_for_zero_whatever_the_zero_point() -> None:
    # The image is all zeros, so every sum is, in the middle and at the border.
    for zero_point in (0, 3, 128, 255):
        x = torch.full((1, 2, 3, 3), zero_point, dtype=torch.uint8)
        signature = Signature((per_tensor(0.02, zero_point, UINT8), W, B), B)
        none = torch.zeros(2, dtype=torch.int32)
        y = Conv2d(padding=(2, 2)).run_integer(
            (x, codes((2, 2, 3, 3), W), none), signature, Float32()
        )
        assert y.shape == (1, 2, 5, 5)
        assert not y.any()


def test_an_addend_joins_before_the_one_rounding() -> None:
    # 0.4 + 0.4 steps: rounded one by one nothing is left, rounded together 1.
    out = per_tensor(1.0, 10, UINT8)
    x, w = torch.tensor([[[[4]]]], dtype=torch.uint8), torch.tensor([[[[1]]]], dtype=torch.int8)
    grids = (per_tensor(0.1, 0, UINT8), per_tensor(1.0, 0, INT8), B, per_tensor(0.1, 20, UINT8))
    none, addend = torch.zeros(1, dtype=torch.int32), torch.tensor([[[[24]]]], dtype=torch.uint8)
    signature = Signature(grids, out)
    assert Conv2d().run_integer((x, w, none, addend), signature, Float32()).item() == 11
    nothing = torch.full_like(addend, 20)
    assert Conv2d().run_integer((x, w, none, nothing), signature, Float32()).item() == 10


def test_a_function_sees_the_sum_before_the_one_rounding() -> None:
    # 0.4 + 0.4 steps: rounded first there is one step, whose square is a quarter of four.
    out = per_tensor(0.16, 10, UINT8)
    x, w = torch.tensor([[[[4]]]], dtype=torch.uint8), torch.tensor([[[[1]]]], dtype=torch.int8)
    grids = (per_tensor(0.1, 0, UINT8), per_tensor(1.0, 0, INT8), B, per_tensor(0.1, 20, UINT8))
    none, addend = torch.zeros(1, dtype=torch.int32), torch.tensor([[[[24]]]], dtype=torch.uint8)
    op = Conv2d(function=(("square", "x"),))
    signature = Signature(grids, out)
    assert op.run_integer((x, w, none, addend), signature, Float32()).item() == 14
    assert op.run_integer((x, w, none, addend), signature, FixedPoint("single")).item() == 14
    real = op.run(torch.full((1, 1, 1, 1), 0.4), torch.ones(1, 1, 1, 1), torch.full((1,), 0.4))
    assert real.item() == pytest.approx(0.64)


@pytest.mark.parametrize(
    ("low", "high", "smallest", "largest"),
    [(None, None, 0, 255), (0.0, None, 90, 255), (0.0, 6.0, 90, 109), (-1.0, 2.0, 87, 96)],
)
def test_an_activation_is_bounds_of_the_result(
    low: float | None, high: float | None, smallest: int, largest: int
) -> None:
    out = per_tensor(0.31, 90, UINT8)
    x, w = codes((2, 8, 5, 5)), codes((2, 8, 3, 3), W)
    b = torch.tensor([-(10**6), 10**6], dtype=torch.int32)
    y = Conv2d(low=low, high=high).run_integer((x, w, b), Signature((X, W, B), out), Float32())
    assert (y.min().item(), y.max().item()) == (smallest, largest)


def test_an_accumulator_beyond_int32_is_an_error() -> None:
    x, w = torch.full((1, 70_000, 1, 1), 255, dtype=torch.uint8), torch.ones(1, 70_000, 1, 1)
    signature = Signature((per_tensor(1.0, 0, UINT8), W, B), B)
    with pytest.raises(ProgramError, match="a sum reaches 2,266,950,000, beyond int32"):
        Conv2d().accumulate((x, 127 * w.to(torch.int8), torch.zeros(1)), signature)


def test_onnx_computes_the_same_convolution() -> None:
    pytest.importorskip("onnx")
    from onnx.helper import make_node
    from onnx.reference import ReferenceEvaluator

    out = per_tensor(0.31, 90, UINT8)
    x, w, b = codes((1, 2, 6, 5)), codes((3, 2, 3, 3), W), bias_of(3)
    op = Conv2d(stride=(2, 1), padding=(1, 1))
    found = op.run_integer((x, w, b), Signature((X, W, B), out), Float32())
    node = make_node(
        "QLinearConv",
        ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz", "b"],
        ["y"],
        strides=[2, 1],
        pads=[1, 1, 1, 1],
    )
    feeds = {"x": x, "xs": X.scale, "xz": X.zero_point.byte(), "w": w, "ws": W.scale}
    feeds |= {"wz": W.zero_point.char(), "ys": out.scale, "yz": out.zero_point.byte(), "b": b}
    (y,) = ReferenceEvaluator(node).run(None, {name: item.numpy() for name, item in feeds.items()})
    distance = (torch.from_numpy(y).int() - found.int()).abs()
    assert distance.max() <= 1  # it divides by a float32 s_y where M is one product
    assert distance.sum() <= 1


# --- the float form ------------------------------------------------------------------------------


def test_the_float_form_is_torch_s_convolution_with_its_addend_and_bounds() -> None:
    random = torch.Generator().manual_seed(0)
    x, w, b = (torch.randn(shape, generator=random) for shape in ((2, 3, 6, 6), (4, 3, 3, 3), (4,)))
    plain = torch.nn.functional.conv2d(x, w, b, padding=1)
    addend = torch.randn(plain.shape, generator=random)
    op = Conv2d(padding=(1, 1))
    assert torch.equal(op.run(x, w, b), plain)
    assert torch.equal(op.run(x, w, b, addend), plain + addend)
    assert torch.equal(replace(op, low=0.0).run(x, w, b, addend), (plain + addend).relu())
    assert torch.equal(
        replace(op, low=-1.0, high=0.5).run(x, w, b, addend), (plain + addend).clamp(-1.0, 0.5)
    )


def test_the_addend_of_the_float_form_is_not_changed() -> None:
    x, w, b = torch.ones(1, 1, 2, 2), torch.ones(1, 1, 1, 1), torch.zeros(1)
    addend = torch.full((1, 1, 2, 2), -3.0)
    Conv2d(low=0.0).run(x, w, b, addend)
    assert torch.equal(addend, torch.full((1, 1, 2, 2), -3.0))


def test_the_roles_of_its_operands() -> None:
    activation, weight, bias = Role.ACTIVATION, Role.WEIGHT, Role.BIAS
    assert Conv2d().roles(3) == (activation, weight, bias)
    assert Conv2d().roles(4) == (activation, weight, bias, activation)


# --- capture -------------------------------------------------------------------------------------


def captured(
    weight: tuple[int, ...] = (4, 3, 3, 3), image: Shape = ("N", 3, 8, 8), **options: object
) -> tuple[Builder, Value | str]:
    to, x = float_graph(image)
    result = conv(to, ("N", 4, 8, 8), x, to.constant("w", torch.ones(weight)), **options)  # type: ignore[arg-type]  # whatever torch.export yields
    return to, result


def last(to: Builder) -> Node:
    return to.nodes[-1]


def test_a_convolution_without_bias_gets_zeros() -> None:
    to, result = captured()
    assert isinstance(result, Value)
    assert last(to).op == Conv2d()
    assert last(to).inputs == ("x", "w", "w.zero_bias")
    assert torch.equal(to.constants["w.zero_bias"], torch.zeros(4))


def test_a_single_number_is_for_both_dimensions() -> None:
    to, _ = captured(stride=[2], padding=[1], dilation=[3])
    assert last(to).op == Conv2d((2, 2), (1, 1), (3, 3))


def test_padding_valid_is_none_and_same_of_an_odd_kernel_is_symmetric() -> None:
    assert last(captured(padding="valid")[0]).op == Conv2d()
    assert last(captured(padding="same")[0]).op == Conv2d(padding=(1, 1))
    assert last(captured(padding="same", dilation=[2, 2])[0]).op == Conv2d(
        padding=(2, 2), dilation=(2, 2)
    )


def test_padding_same_of_an_even_kernel_is_a_pad_of_its_own() -> None:
    to, _ = captured(weight=(4, 3, 4, 3), padding="same")
    assert [node.op for node in to.nodes] == [Pad((1, 1, 1, 2)), Conv2d()]
    assert to.values[to.nodes[0].output].shape == ("N", 3, 11, 10)
    to, _ = captured(weight=(4, 3, 4, 3), image=("N", 3, "H", "W"), padding="same")
    assert to.values[to.nodes[0].output].shape == ("N", 3, UNKNOWN, UNKNOWN)


def test_a_convolution_that_has_no_integer_form_says_why() -> None:
    to, x = float_graph(("N", 3, 8, 8))
    assert conv(to, x.shape, x, x) == "its weight is computed at run time"
    assert captured(image=(3, 8, 8))[1] == "its input has no batch dimension"


@pytest.mark.parametrize(("rank", "op"), [(1, Conv1d), (2, Conv2d), (3, Conv3d)])
def test_a_convolution_has_as_many_dimensions_as_its_weight(
    rank: int, op: type[Conv1d] | type[Conv2d] | type[Conv3d]
) -> None:
    to, _ = captured((4, 3, *[3] * rank), ("N", 3, *[8] * rank), stride=[2], padding="same")
    assert last(to).op == op((2,) * rank, (1,) * rank)


def test_aten_convolution_is_the_same_operator() -> None:
    to, x = float_graph(("N", 3, 8, 8))
    weight = to.constant("w", torch.ones(6, 1, 3, 3))
    convolution(to, x.shape, x, weight, None, (2, 2), (1, 1), (1, 1), False, (0, 0), 3)
    assert last(to).op == Conv2d((2, 2), (1, 1), groups=3)


def test_the_integer_form_agrees_with_float64_to_half_a_step() -> None:
    out = per_tensor(0.31, 90, UINT8)
    x, w, b = codes((2, 8, 9, 9)), codes((16, 8, 3, 3), W), bias_of(16)
    op = Conv2d(stride=(2, 2), padding=(1, 1), low=0.0)
    found = dequantize(op.run_integer((x, w, b), Signature((X, W, B), out), Float32()), out)
    real = op.run(*(dequantize(q, p).double() for q, p in ((x, X), (w, W), (b, B))))
    low, high = out.real_range
    error = (found.double() - real.clamp(low, high)).abs()
    assert error.max() <= 0.5001 * out.scale
