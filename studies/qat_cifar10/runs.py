"""Every training of the study, one function each; results are kept, so that a run can be resumed.

python -m studies.qat_cifar10.runs        runs whatever is missing in .cache/qat_cifar10
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from itertools import product

import torch
from torch import Tensor, nn

import zeropoint as zp
from studies.answers import Answers
from studies.cifar10 import Augmented, images, right
from studies.qat_cifar10.defects import AllTimeRange, RangeWithoutZero, SignedRange
from studies.qat_cifar10.floats import float_network
from studies.qat_cifar10.network import NetworkInNetwork
from studies.qat_cifar10.recipes import recipe
from studies.training import Schedule, fit, in_channels_last
from zeropoint.train import CurrentRange, LearnedStep, MovingRange, freeze_batch_norm, freeze_ranges
from zeropoint.train.method import Method
from zeropoint.train.moving_range import MovingGrid

ANSWERS = Answers("qat_cifar10")
SEEDS = (0, 1, 2)
SCHEMES = {"symmetric": True, "asymmetric": False}
TUNING = Schedule(epochs=2, lr=0.01, weight_decay=3e-4)
"""Extra epochs from the float weights, for QAT and for the float network alike."""

SHORT = Schedule(epochs=1, lr=0.01, weight_decay=3e-4)
"""The same for the defects."""

FREEZE_AT = 0.8
"""The share of the steps after which ranges stay as they are, and batch norms if they do."""


@dataclass(frozen=True)
class Way:
    """A quantization-aware training: bits, scheme, methods, and what is done to it."""

    bits: int = 8
    symmetric: bool = True
    weights: Method = CurrentRange()
    activations: Method = MovingRange(0.99)
    freezes: bool = True
    freezes_norms: bool = False
    moves_in_eval: bool = False
    schedule: Schedule = SHORT


DEFECTS = {
    "none": Way(),
    "ranges that also move in eval mode (D1)": Way(
        activations=MovingRange(0.9), moves_in_eval=True
    ),
    "weight ranges that never shrink (D2)": Way(weights=AllTimeRange()),
    "moving average over ten batches, never frozen (D3)": Way(
        activations=MovingRange(0.9), freezes=False
    ),
    "range without zero (D5)": Way(symmetric=False, weights=RangeWithoutZero()),
    "signed grid behind a ReLU (D7)": Way(activations=SignedRange()),
    "batch norm frozen for the last fifth (against D11)": Way(freezes_norms=True),
}


def tune_float(seed: int) -> Tensor:
    """The float network with the extra epochs."""
    torch.manual_seed(seed)
    model = in_channels_last(float_network())
    fit(model, images("train"), TUNING, name=f"float {seed}")
    return right(model, images("test"))


def post_training(bits: int, symmetric: bool) -> Tensor:
    """Calibrated on 512 training images, not trained."""
    q = zp.quantize(
        float_network(),
        calibration(),
        recipe(bits, symmetric=symmetric),
        engine=engine(symmetric=symmetric),
    )
    return right_of(q)


def learned(bits: int, symmetric: bool, seed: int) -> Tensor:
    """Training as zeropoint does it by default; the answers are the integer network's."""
    way = Way(bits, symmetric, LearnedStep(), LearnedStep(), schedule=TUNING)
    return right_of(zp.convert(trained(way, seed)))


def defective(name: str, bits: int) -> Tensor:
    """One defect switched on, evaluated in float as the article did."""
    way = replace(DEFECTS[name], bits=bits)
    return simulated(trained(way, 0), moves=way.moves_in_eval)


def trained(way: Way, seed: int) -> zp.QuantizationAware:
    """From the float weights."""
    torch.manual_seed(seed)
    qat = zp.prepare_qat(
        float_network(),
        calibration(),
        recipe(way.bits, symmetric=way.symmetric),
        weights=way.weights,
        activations=way.activations,
        engine=engine(symmetric=way.symmetric),
    )
    in_channels_last(qat)
    steps = way.schedule.epochs * (len(images("train")) // way.schedule.batch_size)

    def after_step(step: int) -> None:
        if step == int(FREEZE_AT * steps):
            if way.freezes:
                freeze_ranges(qat)
            if way.freezes_norms:
                freeze_batch_norm(qat)

    fit(qat, images("train"), way.schedule, after_step=after_step, name=str(way)[:60])
    return qat


# --- the article's schedule ----------------------------------------------------------------------

EPOCHS, BATCH, RATE, DECAYS = 29, 512, 0.01, (15, 17, 20)
"""Adam from random weights, and a tenth of the rate at each decay: the article's defaults."""


def under_the_articles_schedule(model: nn.Module, name: str) -> None:
    """The model, trained in place."""
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
    rate = torch.optim.lr_scheduler.MultiStepLR(optimizer, DECAYS, gamma=0.1)
    model.train()
    for epoch in range(EPOCHS):
        begin = time.monotonic()
        for x, y in Augmented(images("train"), BATCH):
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16):
                outputs = model(x)
            loss = nn.functional.cross_entropy(outputs.float(), y)
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it unannotated
            optimizer.step()
        rate.step()
        print(
            f"{name} epoch {epoch + 1}: loss {loss:.3f}, {time.monotonic() - begin:.0f} s",
            flush=True,
        )


def float_control(seed: int) -> Tensor:
    """The float network under the article's schedule: what the schedule alone costs."""
    torch.manual_seed(seed)
    model = in_channels_last(article_weights(NetworkInNetwork()))
    under_the_articles_schedule(model, f"control {seed}")
    return right(model, images("test"))


def article(seed: int) -> Tensor:
    """The article's training: from random weights, its schedule, all defects together."""
    torch.manual_seed(seed)
    qat = zp.prepare_qat(
        article_weights(NetworkInNetwork()),
        calibration(),
        recipe(8, symmetric=True),
        weights=AllTimeRange(),
        activations=SignedRange(0.9),
        engine="reference",
    )
    in_channels_last(qat)
    under_the_articles_schedule(qat, f"article {seed}")
    return simulated(qat, moves=True)


def article_weights(model: NetworkInNetwork) -> NetworkInNetwork:
    """Xavier's initialization, the default of that code."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.xavier_uniform_(module.weight)
    return model


# --- answers -------------------------------------------------------------------------------------


def calibration() -> list[Tensor]:
    """512 training images, not augmented."""
    return [x for x, _ in images("train").batches(128, limit=512)]


def engine(*, symmetric: bool) -> str:
    """The fastest engine there is for such weights: oneDNN's kernels know no zero point of them."""
    return "onednn" if symmetric else "reference"


def right_of(q: zp.QuantizedModel) -> Tensor:
    """For each test image whether the integer network is right."""
    return torch.cat([q(x).argmax(1) == y for x, y in images("test").batches()])


def simulated(qat: zp.QuantizationAware, *, moves: bool) -> Tensor:
    """For each test image whether the training path in eval mode is right, in batches of 100."""
    qat.eval()
    grids = [q for q in qat.quantizers().values() if isinstance(q, MovingGrid)]
    answers = []
    with torch.no_grad():
        for x, y in images("test").batches(100):
            for grid in grids:
                grid.training = grid.moves = moves
            answers.append(qat.walk([x])[0].argmax(1) == y)
            for grid in grids:
                if grid.seen is not None:
                    grid.move(grid.seen)
                    grid.seen = None
    return torch.cat(answers)


# --- all of them ---------------------------------------------------------------------------------


def everything() -> Iterable[tuple[str, Callable[[], Tensor]]]:
    """Names and trainings, the quick ones first."""
    yield "float", lambda: right(float_network(), images("test"))
    for scheme, bits in product(SCHEMES, (8, 4)):
        yield f"ptq {scheme} {bits}", partial(post_training, bits, SCHEMES[scheme])
    for seed in SEEDS:
        yield f"float tuned {seed}", partial(tune_float, seed)
        for scheme, symmetric in SCHEMES.items():
            yield f"qat {scheme} 8 {seed}", partial(learned, 8, symmetric, seed)
    yield "control 0", partial(float_control, 0)
    yield "article 0", partial(article, 0)
    for bits, name in product((8, 4), DEFECTS):
        yield f"defect {name} {bits}", partial(defective, name, bits)


if __name__ == "__main__":
    for name, run in everything():
        ANSWERS.of(name, run)
