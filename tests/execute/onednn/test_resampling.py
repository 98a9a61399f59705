from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from zeropoint.arithmetic.integer import UINT8, IntegerType
from zeropoint.arithmetic.qparams import QParams, per_tensor
from zeropoint.arithmetic.requantize import Float32
from zeropoint.execute.onednn import resampling
from zeropoint.execute.onednn.library import find_library
from zeropoint.execute.onednn.memory import Memory
from zeropoint.execute.onednn.resampling import Resample, interpolation
from zeropoint.graph.op import Signature
from zeropoint.ops.upsample import Interpolate

LIBRARY = find_library()

X = per_tensor(0.031, 100, UINT8)
GRIDS = [per_tensor(0.027, 90, UINT8), per_tensor(0.6, 5, IntegerType(4, signed=False)), X]


def none(op: Interpolate, x: QParams, y: QParams) -> None:
    return None


def direct(op: Interpolate, x: QParams, y: QParams) -> Resample | None:
    if LIBRARY is None:
        pytest.skip("this torch does not show oneDNN's functions")
    return None if op.align_corners else resampling.by_onednn(LIBRARY, Memory(), x, y)


WAYS = pytest.mark.parametrize("way", [none, resampling.by_torch, direct])


def codes(*shape: int) -> Tensor:
    q = torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(0))
    return q.to(torch.uint8)


def check(op: Interpolate, way: Callable[..., Any], q: Tensor, y: QParams, *sizes: int) -> None:
    operands: list[Any] = [q, *sizes]
    expected = op.run_integer(operands, Signature((X,), y), Float32())
    kernel = interpolation(op, X, y, way(op, X, y))
    for _ in range(2):
        found = kernel(q, *sizes)
        assert found.shape == expected.shape
        assert (found.int() - expected.int()).abs().max() <= 1


@WAYS
@pytest.mark.parametrize("align", [False, True])
@pytest.mark.parametrize("y", GRIDS, ids=["narrower", "few bits", "the same"])
@pytest.mark.parametrize("factor", [2.0, 4.0, 3.0, 1.5, 0.5])
def test_images_grow_and_shrink(
    way: Callable[..., Any], align: bool, y: QParams, factor: float
) -> None:
    op = Interpolate(factors=(factor, factor), align_corners=align)
    check(op, way, codes(2, 5, 6, 8), y)


@WAYS
@pytest.mark.parametrize("shape", [(2, 3, 7), (2, 3, 4, 5, 6)])
def test_lines_and_volumes_do_too(way: Callable[..., Any], shape: tuple[int, ...]) -> None:
    op = Interpolate(factors=(2.0,) * (len(shape) - 2))
    check(op, way, codes(*shape), GRIDS[0])


def test_a_size_that_is_computed_may_change() -> None:
    op = Interpolate(size=(None, None))
    kernel = interpolation(op, X, GRIDS[0], resampling.by_torch(op, X, GRIDS[0]))
    q = codes(1, 3, 4, 6)
    for sizes in ((8, 12), (9, 12), (8, 12), (1, 1)):
        operands: list[Any] = [q, *sizes]
        expected = op.run_integer(operands, Signature((X,), GRIDS[0]), Float32())
        assert (kernel(q, *sizes).int() - expected.int()).abs().max() <= 1


def test_the_simple_way_is_only_for_positions_that_float32_holds() -> None:
    taken = []

    def simple(q: Tensor, sizes: Any) -> Tensor:
        taken.append(tuple(sizes))
        return q

    op = Interpolate(size=(None, None))
    kernel = interpolation(op, X, GRIDS[0], simple)
    for sizes in ((8, 8), (12, 12), (16, 8)):
        kernel(codes(1, 3, 4, 4), *sizes)
    assert taken == [(8, 8), (16, 8)], "thirds are none"
    interpolation(op, X, X, simple)(codes(1, 3, 4, 4), 8, 8)
    assert len(taken) == 2, "on the same grid, every other result is a tie"
