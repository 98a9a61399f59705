import pytest
import torch
from torch import Tensor

from zeropoint.arithmetic.integer import UINT8, IntegerType
from zeropoint.arithmetic.qparams import QParams, per_tensor
from zeropoint.arithmetic.qparams import dequantize as exact_dequantize
from zeropoint.arithmetic.qparams import quantize as exact_quantize
from zeropoint.arithmetic.requantize import Float32, Grid, Term
from zeropoint.execute.onednn import why_unusable
from zeropoint.execute.onednn.elementwise import (
    Affine,
    add,
    dequantize,
    multiply,
    quantize,
    reciprocal,
    requantize,
    requantize_sum,
)
from zeropoint.graph.op import Signature
from zeropoint.ops.add import Add
from zeropoint.ops.mul import Mul
from zeropoint.ops.quantize import move

why_unusable()  # lets torch warn once that its quantized dtypes are deprecated

ZERO_POINTS = [0, 3, 128, 255]


def affine(params: QParams) -> Affine:
    return params.scale.item(), int(params.zero_point)


def every_code() -> Tensor:
    return torch.arange(256).to(torch.uint8).reshape(1, 4, 8, 8)


def off(ours: Tensor, theirs: Tensor) -> Tensor:
    return (ours.int() - theirs.int()).abs()


@pytest.mark.parametrize("zero_point", ZERO_POINTS)
def test_dequantizing_is_exact(zero_point: int) -> None:
    params = per_tensor(0.0173, zero_point, UINT8)
    expected = exact_dequantize(every_code(), params)
    assert torch.equal(dequantize(every_code(), *affine(params)), expected)


@pytest.mark.parametrize("zero_point", ZERO_POINTS)
def test_quantizing_is_exact_but_for_what_lies_on_the_edge_of_two_codes(zero_point: int) -> None:
    params = per_tensor(0.0173, zero_point, UINT8)
    x = 5.0 * torch.randn(1, 10, 100, 100, generator=torch.Generator().manual_seed(0))
    steps = off(quantize(x, *affine(params)), exact_quantize(x, params))
    assert steps.max() <= 1
    assert steps.sum() <= 2


@pytest.mark.parametrize("zero_point", ZERO_POINTS)
def test_a_tie_of_quantizing_may_go_to_either_side(zero_point: int) -> None:
    # torch rounds x (1 / s) + z to even, the reference x / s: halves differ where z is odd.
    params = per_tensor(0.0173, zero_point, UINT8)
    halves = (torch.arange(256) - zero_point + 0.5) * params.scale
    steps = off(quantize(halves, *affine(params)), exact_quantize(halves, params))
    assert steps.max() <= 1


def test_quantizing_leaves_the_layout_as_it_is() -> None:
    image = torch.rand(2, 3, 4, 5)
    assert quantize(image, 0.01, 0).is_contiguous()
    last = image.contiguous(memory_format=torch.channels_last)
    assert quantize(last, 0.01, 0).is_contiguous(memory_format=torch.channels_last)


def test_quantizing_saturates() -> None:
    x = torch.tensor([-1e30, -1.0, 1e30])
    assert quantize(x, 0.01, 7).tolist() == [0, 0, 255]


@pytest.mark.parametrize("ratio", [0.03, 0.5, 0.77, 1.0, 2.0, 13.0])
@pytest.mark.parametrize("zero_point", ZERO_POINTS)
def test_requantizing_is_exact_ties_included(zero_point: int, ratio: float) -> None:
    old, new = per_tensor(0.0173, 100, UINT8), per_tensor(0.0173 * ratio, zero_point, UINT8)
    expected = move(every_code(), old, new, Float32())
    assert torch.equal(requantize(every_code(), affine(old), affine(new)), expected)


@pytest.mark.parametrize("zero_point", ZERO_POINTS)
def test_adding_is_exact_but_for_what_lies_on_the_edge_of_two_codes(zero_point: int) -> None:
    random = torch.Generator().manual_seed(0)
    a, b = (torch.randint(0, 256, (100_000,), generator=random).to(torch.uint8) for _ in "ab")
    grids = per_tensor(0.0173, 100, UINT8), per_tensor(0.0091, 3, UINT8)
    out = per_tensor(0.0211, zero_point, UINT8)
    expected = Add().run_integer((a, b), Signature(grids, out), Float32())
    steps = off(add(a, b, affine(grids[0]), affine(grids[1]), affine(out)), expected)
    assert steps.max() <= 1
    assert steps.sum() <= 10


def test_a_sum_is_requantized_as_the_reference_does() -> None:
    total = torch.arange(-3000, 3000, dtype=torch.int32)
    for bits, zero_point in ((8, 0), (8, 131), (4, 9)):
        out = per_tensor(0.02, zero_point, IntegerType(bits, signed=False))
        for multiplier in (0.5, 0.0371):
            factor = torch.tensor(multiplier, dtype=torch.float64)
            expected = Float32().requantize(
                [Term(total, factor)], Grid(zero_point, out.low, out.high)
            )
            found = requantize_sum(total, factor.float(), out)
            assert found.dtype == torch.uint8
            assert torch.equal(found.int(), expected)


SHAPES = [(2, 3, 5, 7), (2, 3, 1, 1), (2, 1, 5, 7), (1, 1, 5, 1)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("alpha", [None, -1.0, 0.4])
def test_operands_of_any_shapes_meet(shape: tuple[int, ...], alpha: float | None) -> None:
    """A sum with a factor of the second operand; without one, a product."""
    a_grid, b_grid = per_tensor(0.0211, 100, UINT8), per_tensor(0.0371, 7, UINT8)
    y_grid = per_tensor(0.0533, 60, UINT8)
    a, b = (torch.randint(0, 256, s, dtype=torch.uint8) for s in (SHAPES[0], shape))
    grids = [affine(grid) for grid in (a_grid, b_grid, y_grid)]
    signature = Signature((a_grid, b_grid), y_grid)
    if alpha is None:
        found = multiply(a, b, *grids)
        expected = Mul().run_integer((a, b), signature, Float32())
    else:
        scale, zero_point = grids[1]
        found = add(a, b, grids[0], (alpha * scale, zero_point), grids[2])
        expected = Add(alpha=alpha).run_integer((a, b), signature, Float32())
    assert off(found, expected).sum() <= 1
    assert torch.equal(a, a.clone())


def test_a_product_is_the_reference_s_where_its_multiplier_is_a_reciprocal() -> None:
    a, b = torch.randint(0, 256, (2, 1 << 16), dtype=torch.uint8)
    exact = 0
    for step in torch.linspace(0.01, 0.1, 50).tolist():
        grids = per_tensor(0.0211, 100, UINT8), per_tensor(step, 7, UINT8)
        y_grid = per_tensor(255 * step * 0.0211, 60, UINT8)
        expected = Mul().run_integer((a, b), Signature(grids, y_grid), Float32())
        found = multiply(a, b, *map(affine, (*grids, y_grid)))
        scales = [grid.scale.item() for grid in (*grids, y_grid)]
        if reciprocal(scales[0] * scales[1] / scales[2]) is not None:
            assert torch.equal(found, expected)
            exact += 1
    assert exact > 25


def test_the_reciprocal_of_a_float32_is_found_or_there_is_none() -> None:
    assert reciprocal(0.25) == 4.0
    multipliers = torch.linspace(0.5, 1.0, 1001).tolist()
    found = [reciprocal(multiplier) for multiplier in multipliers]
    for multiplier, step in zip(multipliers, found, strict=True):
        if step is not None:
            assert (1 / torch.tensor(step)).item() == torch.tensor(multiplier).item()
    assert sum(step is not None for step in found) > 500


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (4, 32, 16, 16)])
def test_large_tensors_are_not_copied_and_small_ones_are_the_same(shape: tuple[int, ...]) -> None:
    """Either way, of any layout, and neither operand changes."""
    grid = affine(per_tensor(0.0211, 100, UINT8))
    x = torch.randint(0, 256, shape, dtype=torch.uint8)
    layouts = (x, x.contiguous(memory_format=torch.channels_last), x.transpose(2, 3), x[:, 1:])
    for codes in layouts:
        kept = codes.clone()
        doubled = add(codes, codes, grid, grid, grid)
        again = quantize(dequantize(codes, *grid), *grid)
        expected = Add().run_integer(
            (codes, codes),
            Signature((per_tensor(*grid, UINT8),) * 2, per_tensor(*grid, UINT8)),
            Float32(),
        )
        assert off(doubled, expected).max() <= 1
        assert torch.equal(again, codes)
        assert torch.equal(codes, kept)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_row_meets_an_image_in_the_layout_of_the_image(layout: torch.memory_format) -> None:
    grid = affine(per_tensor(0.0211, 100, UINT8))
    x = torch.randint(0, 256, (2, 3, 5, 7), dtype=torch.uint8).contiguous(memory_format=layout)
    row = torch.randint(0, 256, (1, 1, 1, x.shape[3]), dtype=torch.uint8)
    for found in (add(x, row, grid, grid, grid), multiply(row, x, grid, grid, grid)):
        assert found.shape == x.shape
        assert found.stride() == x.stride()
