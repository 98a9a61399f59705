from fractions import Fraction

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.ops import naive
from zeropoint.arithmetic.integer import INT8, INT32, UINT8
from zeropoint.arithmetic.qparams import QParams, per_tensor
from zeropoint.arithmetic.requantize import Float32
from zeropoint.graph.build import float_graph
from zeropoint.graph.op import Role, Signature
from zeropoint.ops.linear import Linear, linear

X = per_tensor(0.02, 100, UINT8)
W = per_tensor(0.005, 0, INT8)
B = per_tensor(float((X.scale.double() * W.scale.double()).float()), 0, INT32)
Y = per_tensor(0.31, 90, UINT8)


def codes(shape: tuple[int, ...], params: QParams = X, seed: int = 0) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    q = torch.randint(params.low, params.high + 1, shape, generator=random)
    return q.to(params.type.storage)


def bias_of(count: int) -> Tensor:
    return torch.arange(-count, count, 2, dtype=torch.int32) * 1000


@given(
    rows=st.integers(1, 3),
    features=st.integers(1, 9),
    outputs=st.integers(1, 4),
    seed=st.integers(0, 100),
)
def test_accumulators_are_sums_of_products_of_centred_integers(
    rows: int, features: int, outputs: int, seed: int
) -> None:
    x, w = codes((rows, features), seed=seed), codes((outputs, features), W, seed)
    b = bias_of(outputs)
    found = Linear().accumulate((x, w, b), Signature((X, W, B), B))
    expected = naive.linear(naive.centred(x, X), naive.centred(w, W), b.tolist())
    assert found.dtype == torch.int32
    assert found.tolist() == expected.tolist()


def test_results_are_accumulators_rounded_to_the_output_s_grid() -> None:
    x, w, b = codes((5, 30)), codes((4, 30), W), bias_of(4)
    found = Linear().run_integer((x, w, b), Signature((X, W, B), Y), Float32())
    exact = naive.linear(naive.centred(x, X), naive.centred(w, W), b.tolist())
    m = Fraction(X.scale.item()) * Fraction(W.scale.item()) / Fraction(Y.scale.item())
    expected = [naive.rounded(m * a, Y, 0, 255) for a in exact.flatten().tolist()]
    assert found.dtype == torch.uint8
    assert found.flatten().tolist() == expected


def test_an_int32_result_is_the_accumulator_itself() -> None:
    x, w, b = codes((5, 30)), codes((4, 30), W), bias_of(4)
    signature = Signature((X, W, B), B)
    found = Linear(low=0.0).run_integer((x, w, b), signature, Float32())
    assert torch.equal(found, Linear().accumulate((x, w, b), signature))


def test_every_output_has_its_scale() -> None:
    params = QParams(torch.tensor([0.005, 0.05]), torch.zeros(2, dtype=torch.int32), INT8, axis=0)
    x = torch.tensor([[110]], dtype=torch.uint8)
    w, none = torch.ones(2, 1, dtype=torch.int8), torch.zeros(2, dtype=torch.int32)
    out = per_tensor(0.001, 0, UINT8)
    y = Linear().run_integer((x, w, none), Signature((X, params, B), out), Float32())
    assert y.tolist() == [[1, 10]]  # 0.2 * 0.005, 0.2 * 0.05


def test_an_activation_is_bounds_of_the_result() -> None:
    x, w, b = codes((50, 30)), codes((4, 30), W), bias_of(4)
    y = Linear(0.0, 6.0).run_integer((x, w, b), Signature((X, W, B), Y), Float32())
    assert (y.min().item(), y.max().item()) == (90, 109)


def test_a_function_is_applied_to_the_accumulator() -> None:
    x, w, b = codes((50, 30)), codes((4, 30), W), bias_of(4)
    signature = Signature((X, W, B), Y)
    op = Linear(function=(("tanh", "x"),))
    accumulator = Linear().accumulate((x, w, b), signature).double() * B.scale
    expected = torch.round(accumulator.tanh() / Y.scale.double()) + 90
    assert torch.equal(op.run_integer((x, w, b), signature, Float32()).double(), expected)
    real = torch.randn(3, 4)
    weight, bias = torch.randn(2, 4), torch.randn(2)
    assert torch.equal(op.run(real, weight, bias), F.linear(real, weight, bias).tanh())


def test_dimensions_before_the_last_are_kept() -> None:
    x, w, b = codes((2, 3, 4, 6)), codes((5, 6), W), bias_of(5)
    signature = Signature((X, W, B), Y)
    y = Linear().run_integer((x, w, b), signature, Float32())
    rows = Linear().run_integer((x.reshape(24, 6), w, b), signature, Float32())
    assert torch.equal(y, rows.reshape(2, 3, 4, 5))


def test_onnx_multiplies_the_same_matrices() -> None:
    pytest.importorskip("onnx")
    from onnx.helper import make_node
    from onnx.reference import ReferenceEvaluator

    x, w = codes((20, 30)), codes((8, 30), W)
    none = torch.zeros(8, dtype=torch.int32)
    found = Linear().run_integer((x, w, none), Signature((X, W, B), Y), Float32())
    node = make_node("QLinearMatMul", ["a", "as", "az", "b", "bs", "bz", "ys", "yz"], ["y"])
    feeds = {"a": x, "as": X.scale, "az": X.zero_point.byte(), "b": w.T.contiguous()}
    feeds |= {"bs": W.scale, "bz": W.zero_point.char(), "ys": Y.scale, "yz": Y.zero_point.byte()}
    feeds = {name: item.reshape(item.shape or (1,)) for name, item in feeds.items()}
    (y,) = ReferenceEvaluator(node).run(None, {name: item.numpy() for name, item in feeds.items()})
    distance = (torch.from_numpy(y).int() - found.int()).abs()
    assert distance.max() <= 1
    assert distance.sum() <= 1


def test_the_float_form_is_torch_s_linear_with_bounds() -> None:
    random = torch.Generator().manual_seed(0)
    x, w, b = (torch.randn(shape, generator=random) for shape in ((5, 3), (4, 3), (4,)))
    plain = torch.nn.functional.linear(x, w, b)
    assert torch.equal(Linear().run(x, w, b), plain)
    assert torch.equal(Linear(0.0).run(x, w, b), plain.relu())
    assert torch.equal(Linear(-0.5, 0.5).run(x, w, b), plain.clamp(-0.5, 0.5))


def test_the_roles_of_its_operands() -> None:
    assert Linear().roles(3) == (Role.ACTIVATION, Role.WEIGHT, Role.BIAS)


def test_a_linear_layer_without_bias_gets_zeros() -> None:
    to, x = float_graph(("N", 3))
    linear(to, ("N", 4), x, to.constant("w", torch.ones(4, 3)))
    assert to.nodes[-1].inputs == ("x", "w", "w.zero_bias")
    assert torch.equal(to.constants["w.zero_bias"], torch.zeros(4))


def test_a_weight_that_is_computed_at_run_time_makes_an_island() -> None:
    to, x = float_graph(("N", 3))
    assert linear(to, ("N", 3), x, x) == "its weight is computed at run time"
