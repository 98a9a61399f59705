from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from zeropoint.arithmetic.integer import INT32, UINT8, IntegerType
from zeropoint.arithmetic.qparams import QParams, per_tensor
from zeropoint.arithmetic.requantize import Float32
from zeropoint.execute.onednn.library import find_library
from zeropoint.execute.onednn.matrices import Kernel, by_onednn, by_torch
from zeropoint.execute.onednn.memory import Memory
from zeropoint.graph.op import Signature
from zeropoint.ops.matmul import MatMul

LIBRARY = find_library()

A, B = per_tensor(0.021, 13, UINT8), per_tensor(0.017, 141, UINT8)


def direct(a: QParams, b: QParams, y: QParams) -> Kernel:
    if LIBRARY is None:
        pytest.skip("this torch does not show oneDNN's functions")
    return by_onednn(LIBRARY, Memory(), a, b, y)


WAYS = pytest.mark.parametrize("way", [direct, by_torch])


def codes(*shape: int, seed: int = 0) -> Tensor:
    q = torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(seed))
    return q.to(torch.uint8)


def check(kernel: Kernel, a: Tensor, b: Tensor, y: QParams) -> None:
    expected = MatMul().run_integer([a, b], Signature((A, B), y), Float32())
    found = kernel(a, b)
    if y.type.bits == 32:
        real = expected.to(torch.float64) * y.scale
        assert torch.allclose(found.to(torch.float64), real, rtol=1e-6, atol=0)
    else:
        assert found.dtype == torch.uint8
        assert (found.int() - expected.int()).abs().max() <= 1


def grid(length: int, type: IntegerType = UINT8) -> QParams:
    """One that holds nearly every sum of as many products."""
    return per_tensor(0.021 * 0.017 * 255 * 255 * max(length, 1) ** 0.5 / 200, 120, type)


@WAYS
@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((3, 4), (4, 5)),
        ((2, 3, 4), (2, 4, 5)),
        ((2, 3, 7, 4), (2, 3, 4, 5)),
        ((2, 1, 7, 4), (3, 4, 5)),
        ((1, 1, 1), (1, 1, 1)),
        ((2, 3, 300), (2, 300, 4)),
    ],
)
def test_products_of_every_shape(
    way: Callable[..., Kernel], a: tuple[int, ...], b: tuple[int, ...]
) -> None:
    y = grid(a[-1])
    check(way(A, B, y), codes(*a), codes(*b, seed=1), y)


@WAYS
def test_matrices_may_be_turned(way: Callable[..., Kernel]) -> None:
    y = grid(6)
    kernel = way(A, B, y)
    check(kernel, codes(2, 5, 6), codes(2, 4, 6, seed=1).mT, y)
    check(kernel, codes(2, 6, 5).mT, codes(2, 6, 4, seed=1), y)
    check(kernel, codes(2, 5, 6), codes(1, 6, 4, seed=1).expand(2, 6, 4), y)
    check(kernel, codes(2, 5, 6), codes(2, 6, 8, seed=1)[:, :, ::2], y)


@WAYS
@pytest.mark.parametrize(("a", "b"), [((0, 3, 4), (0, 4, 5)), ((2, 3, 0), (2, 0, 5))])
def test_matrices_may_be_empty(
    way: Callable[..., Kernel], a: tuple[int, ...], b: tuple[int, ...]
) -> None:
    y = grid(1)
    expected = MatMul().run_integer([codes(*a), codes(*b)], Signature((A, B), y), Float32())
    assert torch.equal(way(A, B, y)(codes(*a), codes(*b)), expected)


@WAYS
def test_an_accumulator_leaves_as_a_real_number(way: Callable[..., Kernel]) -> None:
    y = per_tensor(0.021 * 0.017, 0, INT32)
    check(way(A, B, y), codes(2, 3, 40), codes(2, 40, 5, seed=1), y)


@WAYS
def test_few_bits_have_fewer_codes(way: Callable[..., Kernel]) -> None:
    y = per_tensor(1.0, 20, IntegerType(5, signed=False))
    q = way(A, B, y)(codes(2, 9, 40), codes(2, 40, 9, seed=1))
    assert (q.min().item(), q.max().item()) == (0, 31)
    check(way(A, B, y), codes(2, 3, 40), codes(2, 40, 5, seed=1), y)


@WAYS
@given(sizes=st.tuples(*[st.integers(1, 9)] * 4), zeros=st.tuples(*[st.integers(0, 255)] * 3))
def test_any_zero_points(
    way: Callable[..., Kernel], sizes: tuple[int, ...], zeros: tuple[int, ...]
) -> None:
    a, b, y = (per_tensor(s, z, UINT8) for s, z in zip((0.02, 0.03, 1.1), zeros, strict=True))
    batch, rows, length, columns = sizes
    first, second = codes(batch, rows, length), codes(batch, length, columns, seed=1)
    expected = MatMul().run_integer([first, second], Signature((a, b), y), Float32())
    assert (way(a, b, y)(first, second).int() - expected.int()).abs().max() <= 1


def test_sums_beyond_float32_are_added_in_float64() -> None:
    y = per_tensor(0.021 * 0.017, 0, INT32)
    a = torch.full((1, 600), 255, dtype=torch.uint8)
    b = torch.full((600, 1), 255, dtype=torch.uint8)
    b[0] = 254  # a sum that float32 has no room for on the way
    on_a, on_b = per_tensor(0.021, 0, UINT8), per_tensor(0.017, 0, UINT8)
    (total,) = by_torch(on_a, on_b, y)(a, b).flatten().tolist()
    assert total == pytest.approx((600 * 255 * 255 - 255) * y.scale.item(), rel=1e-7)
