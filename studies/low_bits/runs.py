"""Every training of the study; answers and weights are kept, so that a run can be resumed.

    python -m studies.low_bits.runs        runs whatever is missing in .cache/low_bits

The image, the first and the last layer have 8 bits, as in the papers. Residual sums, which the
papers keep in float, have 8 bits here; everything else has the bits of its column.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

import zeropoint as zp
from studies.answers import Answers
from studies.cifar10 import Augmented, images, right
from studies.low_bits.floats import float_network, save
from studies.training import Schedule, cross_entropy, fit, in_channels_last
from zeropoint.train import distillation_loss, reestimate_batch_norm

ANSWERS = Answers("low_bits")
SEED = 0


@dataclass(frozen=True)
class Width:
    """Bits of weights and activations, and how long they are trained."""

    weights: int
    activations: int
    schedule: Schedule

    @property
    def name(self) -> str:
        """As papers write it: W4A8."""
        return f"W{self.weights}A{self.activations}"


WIDTHS = (
    Width(8, 8, Schedule(epochs=1, lr=0.005, weight_decay=1e-4)),
    Width(4, 8, Schedule(epochs=2, lr=0.02, weight_decay=1e-4)),
    Width(4, 4, Schedule(epochs=4, lr=0.04, weight_decay=1e-4, warm_up=0.05)),
    Width(3, 3, Schedule(epochs=6, lr=0.04, weight_decay=5e-5, warm_up=0.05)),
    Width(2, 2, Schedule(epochs=40, lr=0.06, weight_decay=3e-5, warm_up=0.05)),
)


def recipe(weights: int, activations: int) -> zp.Recipe:
    """The recipe of one column."""
    eight = zp.TensorSpec(8)
    first_and_last = _weights(8)
    return zp.Recipe(
        weights=_weights(weights),
        activations=zp.TensorSpec(activations),
        residuals=eight,
        overrides={
            "x": zp.Recipe(activations=eight),
            "conv1": zp.Recipe(first_and_last, zp.TensorSpec(activations), residuals=eight),
            "avgpool": zp.Recipe(activations=eight),
            "fc": zp.Recipe(weights=first_and_last),
        },
    )


def _weights(bits: int) -> zp.TensorSpec:
    calibrator = zp.MinMax() if bits == 8 else zp.MSE()
    return zp.TensorSpec(bits, symmetric=True, granularity=zp.PerChannel(), calibrator=calibrator)


def calibration() -> list[Tensor]:
    """512 training images, not augmented."""
    return [x for x, _ in images("train").batches(128, limit=512)]


def post_training(width: Width) -> Tensor:
    """Calibrated, not trained."""
    return right_of(zp.quantize(float_network(), calibration(), of(width)))


def trained(width: Width, seed: int) -> Tensor:
    """Quantization-aware training from the float weights.

    The teacher is the float network calibrated to 8 bits, in integers: it answers as the float one
    does, in less than half of the time.
    """
    torch.manual_seed(seed)
    plain = replace(of(WIDTHS[0]), gptq=False, equalize=False)
    teacher = zp.quantize(float_network(), calibration(), plain)
    qat = in_channels_last(zp.prepare_qat(float_network(), calibration(), of(width)))

    def loss(x: Tensor, outputs: Tensor, labels: Tensor) -> Tensor:
        distilled = distillation_loss(outputs, teacher(x), temperature=2.0)
        return 0.5 * cross_entropy(x, outputs, labels) + 0.5 * distilled

    fit(qat, images("train"), width.schedule, loss=loss, name=width.name)
    save(qat, ANSWERS.folder / f"{width.name}-{seed}-trained.safetensors")
    reestimate_batch_norm(qat, Augmented(images("train"), width.schedule.batch_size))
    q = zp.convert(qat)
    q.save(ANSWERS.folder / f"{width.name}-{seed}.safetensors")
    return right_of(q)


def of(width: Width) -> zp.Recipe:
    """The recipe of a width."""
    return recipe(width.weights, width.activations)


def right_of(q: zp.QuantizedModel) -> Tensor:
    """For each test image whether the integer network is right."""
    return torch.cat([q(x).argmax(1) == y for x, y in images("test").batches()])


def everything() -> Iterable[tuple[str, Callable[[], Tensor]]]:
    """Names and trainings, the quick ones first."""
    yield "float", lambda: right(float_network(), images("test"))
    for width in WIDTHS:
        yield f"ptq {width.name}", partial(post_training, width)
    for width in WIDTHS:
        yield f"qat {width.name} {SEED}", partial(trained, width, SEED)


if __name__ == "__main__":
    for name, run in everything():
        ANSWERS.of(name, run)
