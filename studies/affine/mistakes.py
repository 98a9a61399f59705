"""What is wrong in the notebook: one number that shows each mistake, and the number put right."""

import copy
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor, nn

import zeropoint as zp
from studies.affine.bits import (
    error,
    notebook_asymmetric,
    notebook_symmetric,
    zeropoint_asymmetric,
    zeropoint_symmetric,
)
from studies.affine.data import photograph
from studies.affine.folding import largest_difference, trained_norm
from studies.affine.notebook import PRINTED, Net, Quantizer, dequantize, fuse, quantize
from zeropoint.arithmetic import qparams
from zeropoint.arithmetic.integer import INT32, UINT8, IntegerType
from zeropoint.arithmetic.qparams import QParams
from zeropoint.capture import capture
from zeropoint.graph.walk import walk
from zeropoint.passes import simplify

BITS, FEW_BITS = 8, 3
SEED = 0
SHIFT = 4.0  # the tensor plus 4 holds 1.7934 to 7.2285: no zero, and nothing below it
CONSTANT = 2.0
CROP = 28


@dataclass(frozen=True)
class Evidence:
    """A quantity of the notebook's, the same of zeropoint's, and what either should be near to."""

    mistake: str
    quantity: str
    notebook: float
    zeropoint: float
    ideal: float | None = None


def evidence() -> list[Evidence]:
    return [
        *zero_point_not_rounded(),
        *zero_point_truncated(),
        *range_without_zero(),
        *symmetric_scale_of_the_whole_range(),
        *bias_on_the_weights_grid(),
        *codes_in_place_of_weights(),
        *fused_without_folding(),
    ]


# --- grids -------------------------------------------------------------------------------------


def zero_point_not_rounded() -> list[Evidence]:
    """Codes are no integers then; stored as integers they lose their fractions, zero among them."""
    mistake = "zero point not rounded"
    zero = torch.zeros(())
    codes, scale, zero_point = quantize(PRINTED, BITS)
    stored = dequantize(codes.to(torch.uint8), scale, zero_point)
    stored_zero = dequantize(zero_point.to(torch.uint8), scale, zero_point)
    grid = grid_of(PRINTED)
    q = qparams.quantize(PRINTED, grid)
    return [
        Evidence(mistake, "zero point", zero_point.item(), grid.zero_point.item()),
        Evidence(mistake, "codes that are integers", whole(codes), whole(q), codes.numel()),
        Evidence(
            mistake,
            "0 comes back from uint8 as",
            stored_zero.item(),
            qparams.simulate(zero, grid).item(),
            0.0,
        ),
        Evidence(
            mistake,
            "largest error from uint8",
            error(PRINTED, stored).largest,
            error(PRINTED, qparams.dequantize(q, grid)).largest,
            0.0,
        ),
    ]


def zero_point_truncated() -> list[Evidence]:
    """`int()` cuts 2.84 down to 2, so the low end of the grid lies nearly a step too high."""
    mistake = "zero point truncated"
    quantizer = Quantizer(FEW_BITS)
    quantizer.quantize(PRINTED, "asymmetric")
    grid = grid_of(PRINTED, FEW_BITS)
    return [
        Evidence(
            mistake,
            f"zero point, {FEW_BITS} bits",
            quantizer.zero_point,
            grid.zero_point.item(),
            quantize(PRINTED, FEW_BITS)[2].item(),
        ),
        Evidence(
            mistake,
            f"largest error, {FEW_BITS} bits",
            error(PRINTED, notebook_asymmetric(PRINTED, FEW_BITS)).largest,
            error(PRINTED, zeropoint_asymmetric(PRINTED, FEW_BITS)).largest,
            0.0,
        ),
    ]


def range_without_zero() -> list[Evidence]:
    """A zero point clamped into the type moves the grid; its scale must then cover zero as well."""
    mistake = "range that leaves zero out"
    shifted, constant = PRINTED + SHIFT, torch.full((4, 4), CONSTANT)
    greatest = shifted.max().item()
    return [
        Evidence(
            mistake,
            f"{greatest:.4f} comes back as",
            notebook_asymmetric(shifted, BITS).max().item(),
            zeropoint_asymmetric(shifted, BITS).max().item(),
            greatest,
        ),
        Evidence(
            mistake,
            f"a constant {CONSTANT:g} comes back as",
            notebook_asymmetric(constant, BITS).max().item(),
            zeropoint_asymmetric(constant, BITS).max().item(),
            CONSTANT,
        ),
    ]


def symmetric_scale_of_the_whole_range() -> list[Evidence]:
    """Zero is in the middle of a symmetric grid, so either half must reach the farthest value."""
    mistake = "symmetric scale from max - min"
    greatest = PRINTED.max().item()
    return [
        Evidence(
            mistake,
            f"{greatest:.4f} comes back as",
            notebook_symmetric(PRINTED, BITS).max().item(),
            zeropoint_symmetric(PRINTED, BITS).max().item(),
            greatest,
        )
    ]


def grid_of(x: Tensor, bits: int = BITS) -> QParams:
    return qparams.asymmetric(x.min(), x.max(), IntegerType(bits, signed=False))


def whole(codes: Tensor) -> int:
    """How many of the numbers have no fraction."""
    return int((codes == codes.round()).sum())


# --- a layer, a network ------------------------------------------------------------------------


def bias_on_the_weights_grid() -> list[Evidence]:
    """The bias is quantized after the weight by the same object, which forgets the weight's scale.

    Eight bits of its own grid are also the wrong form for a bias: it is added to sums of products,
    whose unit is s_x s_w, in int32.
    """
    mistake = "one scale for weight and bias"
    layer = net().conv1
    weight, bias = layer.weight.detach(), layer.bias
    assert bias is not None
    quantizer = Quantizer(BITS)
    weight_codes, bias_codes = quantizer.quantize_layer(layer)
    input_scale = qparams.asymmetric(crops().min(), crops().max(), UINT8).scale
    weight_scale = qparams.symmetric(weight.min(), weight.max(), IntegerType(BITS, True)).scale
    grid = QParams(input_scale * weight_scale, torch.zeros((), dtype=torch.int32), INT32)
    return [
        Evidence(
            mistake,
            "conv1's weights come back, dB",
            error(weight, quantizer.dequantize(weight_codes)).sqnr_db,
            error(weight, zeropoint_symmetric(weight, BITS)).sqnr_db,
        ),
        Evidence(
            mistake,
            "conv1's bias comes back, dB",
            error(bias.detach(), quantizer.dequantize(bias_codes)).sqnr_db,
            error(bias.detach(), qparams.simulate(bias.detach(), grid)).sqnr_db,
        ),
    ]


def codes_in_place_of_weights() -> list[Evidence]:
    """`quantize_model` puts codes 0..255 where the weights were, and nothing scales them back."""
    mistake = "codes in place of weights"
    model, images = net(), crops()
    broken = copy.deepcopy(model)
    Quantizer(BITS).quantize_model(broken)
    activations = zp.TensorSpec(symmetric=False, calibrator=zp.MinMax())
    recipe = zp.Recipe(activations=activations, bias_correction=False, gptq=False, equalize=False)
    quantized = zp.quantize(model, [images], recipe, engine="reference")
    with torch.no_grad():
        expected, found = model(images), broken(images)
    return [
        Evidence(
            mistake,
            "largest output of the network",
            found.abs().max().item(),
            quantized(images).abs().max().item(),
            expected.abs().max().item(),
        ),
        Evidence(
            mistake,
            "the network's output, dB",
            error(expected, found).sqnr_db,
            error(expected, quantized(images)).sqnr_db,
        ),
    ]


@cache
def crops() -> Tensor:
    """The photograph in tiles, (330, 3, 28, 28)."""
    tiles = photograph().unfold(2, CROP, CROP).unfold(3, CROP, CROP)  # (1, 3, 15, 22, 28, 28)
    return tiles.permute(0, 2, 3, 1, 4, 5).reshape(-1, 3, CROP, CROP).contiguous()


def net() -> Net:
    """The notebook's network as it comes out of its constructor."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        return Net().eval()


# --- fusion ------------------------------------------------------------------------------------


def fused_without_folding() -> list[Evidence]:
    """`fuse` folds, then builds its layer from the weights of before.

    A new batch norm is the identity but for its eps, so that the notebook's example hides it.
    """
    mistake = "fused from the unfolded weights"
    generator = torch.Generator().manual_seed(SEED)
    x = torch.randn((1, 3, 32, 32), generator=generator)
    convolution = net().conv1
    new, trained = nn.BatchNorm2d(20).eval(), trained_norm(20, generator)
    return [
        Evidence(mistake, f"largest difference, {name} batch norm", *fusion_errors(*layers, x), 0.0)
        for name, layers in {"new": (convolution, new), "trained": (convolution, trained)}.items()
    ]


def fusion_errors(convolution: nn.Conv2d, norm: nn.BatchNorm2d, x: Tensor) -> tuple[float, float]:
    """The notebook's fused layer, and zeropoint's, against the two layers."""
    model = nn.Sequential(convolution, norm).eval()
    folded = simplify(capture(model, [x]))
    with torch.no_grad():
        expected = model(x)
        return (
            largest_difference(expected, fuse(convolution, norm)(x)),
            largest_difference(expected, walk(folded, [x])[0]),
        )
