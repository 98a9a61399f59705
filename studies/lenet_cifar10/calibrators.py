"""Ways of choosing the activations' ranges, in zeropoint's default recipe, at 8 bits and fewer."""

from torch import Tensor

import zeropoint as zp
from studies.lenet_cifar10.ladder import CALIBRATION_IMAGES, Exam
from studies.lenet_cifar10.network import LeNet
from studies.lenet_cifar10.scores import Score, in_batches, score
from zeropoint.observe.calibrator import Calibrator
from zeropoint.plan import Own

CALIBRATORS: dict[str, Calibrator] = {
    "min-max": zp.MinMax(),
    "moving average": zp.MovingAverage(momentum=0.99),
    "3 sigma": zp.Sigma(n=3),
    "percentile 99.99": zp.Percentile(99.99),
    "KL (entropy)": zp.Entropy(),
    "MSE": zp.MSE(),
    "Best": zp.Best(),
}
BITS = (8, 6, 4)
"""Of the activations; weights stay at 8."""


def quantized(model: LeNet, calibrator: Calibrator, bits: int, exam: Exam) -> zp.QuantizedModel:
    activations = zp.TensorSpec(bits=bits, calibrator=calibrator)
    recipe = zp.Recipe(activations=activations, bias_correction=False, gptq=False, equalize=False)
    return zp.quantize(model, exam.calibration, recipe, samples=CALIBRATION_IMAGES)


def compared(model: LeNet, exam: Exam) -> dict[str, dict[str, Score]]:
    """Scores by bits and calibrator."""
    real = in_batches(model, exam.images)
    return {
        str(bits): {
            name: score(logits(quantized(model, calibrator, bits, exam), exam), real, exam.labels)
            for name, calibrator in CALIBRATORS.items()
        }
        for bits in BITS
    }


def logits(quantized: zp.QuantizedModel, exam: Exam) -> Tensor:
    return in_batches(quantized, exam.images)


def chosen(model: LeNet, exam: Exam) -> dict[str, list[tuple[float, float]]]:
    """The 8-bit ranges that each calibrator gives the input and the outputs of conv1 ... fc2."""
    return {
        name: activation_ranges(quantized(model, calibrator, 8, exam))
        for name, calibrator in CALIBRATORS.items()
    }


def activation_ranges(quantized: zp.QuantizedModel) -> list[tuple[float, float]]:
    grids = [entry.params for entry in quantized.plan.entries.values() if isinstance(entry, Own)]
    return [
        (grid.real_range[0].item(), grid.real_range[1].item())
        for grid in grids
        if not grid.type.signed
    ]
