"""Two to eight bits: what a tensor loses, the notebook's way and zeropoint's.

error = x' - x        SQNR = 10 log10(sum x^2 / sum error^2)
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from studies.affine.data import digit_weights, luminance
from studies.affine.notebook import PRINTED, Quantizer
from zeropoint.arithmetic.integer import IntegerType
from zeropoint.arithmetic.qparams import asymmetric, dequantize, quantize, symmetric
from zeropoint.observe.calibrator import grid_over
from zeropoint.observe.mse import MSE

BITS = range(2, 9)

Way = Callable[[Tensor, int], Tensor]
"""From a tensor and a number of bits to what comes back after quantizing."""


@dataclass(frozen=True)
class Error:
    largest: float
    rms: float
    sqnr_db: float


def error(x: Tensor, found: Tensor) -> Error:
    """What was lost between `x` and `found`, computed in float64."""
    signal, noise = x.double(), found.double() - x.double()
    ratio = float(signal.square().sum() / noise.square().sum())
    return Error(
        noise.abs().max().item(), noise.square().mean().sqrt().item(), 10 * math.log10(ratio)
    )


def sweep() -> dict[str, dict[str, dict[str, Error]]]:
    """Tensor -> way -> bits -> error."""
    tensors = {
        "4x4 tensor": PRINTED,
        "classifier weights": digit_weights(),
        "photograph": luminance(),
    }
    return {
        name: {
            way: {str(bits): error(x, come_back(x, bits)) for bits in BITS}
            for way, come_back in WAYS.items()
        }
        for name, x in tensors.items()
    }


def notebook_asymmetric(x: Tensor, bits: int) -> Tensor:
    return notebook(x, bits, "asymmetric")


def notebook_symmetric(x: Tensor, bits: int) -> Tensor:
    return notebook(x, bits, "symmetric")


def notebook(x: Tensor, bits: int, mode: str) -> Tensor:
    quantizer = Quantizer(bits)
    return quantizer.dequantize(quantizer.quantize(x, mode))


def zeropoint_asymmetric(x: Tensor, bits: int) -> Tensor:
    grid = asymmetric(x.min(), x.max(), IntegerType(bits, signed=False))
    return dequantize(quantize(x, grid), grid)


def zeropoint_symmetric(x: Tensor, bits: int) -> Tensor:
    """Signed as weights are; without negative numbers unsigned, as activations are."""
    grid = symmetric(x.min(), x.max(), IntegerType(bits, signed=bool((x < 0).any())))
    return dequantize(quantize(x, grid), grid)


def zeropoint_asymmetric_mse(x: Tensor, bits: int) -> Tensor:
    return least_error(x, IntegerType(bits, signed=False), is_symmetric=False)


def zeropoint_symmetric_mse(x: Tensor, bits: int) -> Tensor:
    return least_error(x, IntegerType(bits, signed=bool((x < 0).any())), is_symmetric=True)


def least_error(x: Tensor, type: IntegerType, *, is_symmetric: bool) -> Tensor:
    """Over the range of least squared error instead of all of it."""
    low, high = MSE().from_rows(x.reshape(1, -1), type, is_symmetric)
    grid = grid_over(low[0], high[0], type, is_symmetric)
    return dequantize(quantize(x, grid), grid)


WAYS: dict[str, Way] = {
    "asymmetric, notebook": notebook_asymmetric,
    "asymmetric, zeropoint": zeropoint_asymmetric,
    "asymmetric, zeropoint MSE": zeropoint_asymmetric_mse,
    "symmetric, notebook": notebook_symmetric,
    "symmetric, zeropoint": zeropoint_symmetric,
    "symmetric, zeropoint MSE": zeropoint_symmetric_mse,
}
