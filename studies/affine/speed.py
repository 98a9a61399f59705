"""The notebook's layer, 3 to 20 channels by 5x5 on a 1x3x32x32 input, in five forms, in one run.

As many threads as the caller has set: one, for work this small.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

import zeropoint as zp
from benchmarks.interleave import Contestant, interleave, median_seconds, speed
from benchmarks.load import OtherLoad
from studies.affine.bits import error
from studies.affine.folding import trained_norm

SEED = 0
ROUNDS = 30
CALIBRATION_IMAGES = 32

TRAINING = "not fused, in training mode, recording gradients"
FUSED_RECORDING = "fused, recording gradients"
UNFUSED = "not fused"
FUSED = "fused"
INT8 = "int8"


@dataclass(frozen=True)
class Speed:
    """Medians over all timed calls; ratios are the median over the rounds.

    `times_as_fast` is against the unfused float layer, `notebook_ratio` between the two calls that
    the notebook timed. `sqnr_db` is of the int8 layer's output, `other_load` in cores.
    """

    microseconds: dict[str, float]
    times_as_fast: dict[str, float]
    notebook_ratio: float
    sqnr_db: float
    other_load: float


def measure() -> Speed:
    generator = torch.Generator().manual_seed(SEED)
    x = torch.randn((1, 3, 32, 32), generator=generator)
    images = torch.randn((CALIBRATION_IMAGES, 3, 32, 32), generator=generator)
    model = layer(generator)
    quantized = zp.quantize(model, [images])
    with OtherLoad() as load:
        seconds = interleave(contestants(model, quantized, x), range(ROUNDS))
    with torch.no_grad():
        sqnr_db = error(model(x), quantized(x)).sqnr_db
    unfused = seconds[UNFUSED]
    return Speed(
        {name: 1e6 * median_seconds(bursts) for name, bursts in seconds.items()},
        {name: speed(bursts, unfused) for name, bursts in seconds.items()},
        speed(seconds[FUSED_RECORDING], seconds[TRAINING]),
        sqnr_db,
        load.cores,
    )


def layer(generator: torch.Generator) -> nn.Sequential:
    """The notebook's convolution, batch norm and ReLU in eval mode."""
    convolution = nn.Conv2d(3, 20, 5)
    for parameter in convolution.parameters():
        nn.init.uniform_(parameter, -0.1, 0.1, generator=generator)
    return nn.Sequential(convolution, trained_norm(20, generator), nn.ReLU(inplace=True)).eval()


def contestants(model: nn.Sequential, quantized: zp.QuantizedModel, x: Tensor) -> list[Contestant]:
    training = copy.deepcopy(model).train()  # its running statistics move with each call
    convolution, norm, relu = model
    assert isinstance(convolution, nn.Conv2d)
    assert isinstance(norm, nn.BatchNorm2d)
    fused = nn.Sequential(fuse_conv_bn_eval(convolution, norm), relu).eval()
    return [
        Contestant(TRAINING, lambda: training(x)),
        Contestant(FUSED_RECORDING, lambda: fused(x)),
        Contestant(UNFUSED, without_gradients(model, x)),
        Contestant(FUSED, without_gradients(fused, x)),
        Contestant(INT8, lambda: quantized(x)),
    ]


def without_gradients(model: nn.Module, x: Tensor) -> Callable[[], object]:
    def call() -> object:
        with torch.no_grad():
            return model(x)

    return call
