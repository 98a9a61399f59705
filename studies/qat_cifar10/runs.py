"""Every training of the study, one function each; results are kept, so that a run can be resumed.

python -m studies.qat_cifar10.runs        runs whatever is missing in .cache/qat_cifar10
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

import zeropoint as zp
from studies.cifar10 import ROOT, images, right
from studies.qat_cifar10.defects import AllTimeRange, RangeWithoutZero, SignedRange
from studies.qat_cifar10.floats import float_network
from studies.qat_cifar10.network import NetworkInNetwork
from studies.qat_cifar10.recipes import recipe
from studies.training import Schedule, fit, in_channels_last
from zeropoint.train import CurrentRange, LearnedStep, MovingRange, freeze_batch_norm, freeze_ranges
from zeropoint.train.method import Method
from zeropoint.train.moving_range import MovingGrid

CACHE = ROOT / ".cache" / "qat_cifar10"
SEEDS = (0, 1, 2)
TUNING = Schedule(epochs=2, lr=0.01, weight_decay=3e-4)
"""Extra epochs from the float weights, for QAT and for the float network alike."""

SHORT = Schedule(epochs=1, lr=0.01, weight_decay=3e-4)
"""The same for the defects."""

FREEZE_AT = 2 / 3
"""The share of the steps after which ranges and batch norms stay as they are."""


@dataclass(frozen=True)
class Way:
    """A quantization-aware training: bits, scheme, methods, and what is done to it."""

    bits: int = 8
    symmetric: bool = True
    weights: Method = CurrentRange()
    activations: Method = MovingRange(0.99)
    freezes: bool = True
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
    "batch norm never frozen (D11)": Way(freezes=False),
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
        float_network(), calibration(), recipe(bits, symmetric=symmetric), engine="reference"
    )
    return right_of(q)


def learned(bits: int, symmetric: bool, seed: int) -> Tensor:
    """Quantization-aware training as zeropoint does it by default; the integer network's answers."""
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
        engine="reference",
    )
    in_channels_last(qat)
    steps = way.schedule.epochs * (len(images("train")) // way.schedule.batch_size)

    def after_step(step: int) -> None:
        if way.freezes and step == int(FREEZE_AT * steps):
            freeze_ranges(qat)
            freeze_batch_norm(qat)

    fit(qat, images("train"), way.schedule, after_step=after_step, name=str(way)[:60])
    return qat


# --- the article's schedule ------------------------------------------------------------------------

ARTICLE = {"epochs": 29, "batch": 512, "lr": 0.01, "decay at": (15, 17, 20)}
"""Adam from random weights: the defaults of the code that the article uses."""


def under_the_articles_schedule(model: nn.Module, name: str) -> None:
    """The model, trained in place."""
    from studies.cifar10 import Augmented

    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    rate = torch.optim.lr_scheduler.MultiStepLR(optimizer, [15, 17, 20], gamma=0.1)
    model.train()
    for epoch in range(29):
        begin = time.monotonic()
        for x, y in Augmented(images("train"), 512):
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16):
                outputs = model(x)
            loss = nn.functional.cross_entropy(outputs.float(), y)
            loss.backward()
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


# --- answers ---------------------------------------------------------------------------------------


def calibration() -> list[Tensor]:
    """512 training images, not augmented."""
    return [x for x, _ in images("train").batches(128, limit=512)]


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


# --- all of them -----------------------------------------------------------------------------------


def everything() -> Iterable[tuple[str, Callable[[], Tensor]]]:
    """Names and trainings, the quick ones first."""
    yield "float", lambda: right(float_network(), images("test"))
    for symmetric in (True, False):
        scheme = "symmetric" if symmetric else "asymmetric"
        for bits in (8, 4):
            yield f"ptq {scheme} {bits}", lambda b=bits, s=symmetric: post_training(b, s)
    for seed in SEEDS:
        yield f"float tuned {seed}", lambda s=seed: tune_float(s)
        for symmetric in (True, False):
            scheme = "symmetric" if symmetric else "asymmetric"
            yield f"qat {scheme} 8 {seed}", lambda c=symmetric, s=seed: learned(8, c, s)
    yield "control 0", lambda: float_control(0)
    for bits in (8, 4):
        for name in DEFECTS:
            yield f"defect {name} {bits}", lambda n=name, b=bits: defective(n, b)
    yield "article 0", lambda: article(0)


def result(name: str, run: Callable[[], Tensor]) -> Tensor:
    """The answers of a run, from the cache or run now."""
    from safetensors.torch import load_file

    file = CACHE / f"{name.replace(' ', '_').replace('(', '').replace(')', '')}.safetensors"
    if not file.exists():
        begin = time.monotonic()
        answers = run()
        print(
            f"== {name}: {int(answers.sum())} right, {time.monotonic() - begin:.0f} s", flush=True
        )
        CACHE.mkdir(parents=True, exist_ok=True)
        save_file({"right": answers.to(torch.uint8)}, file)
    return load_file(file)["right"].to(torch.bool)


if __name__ == "__main__":
    for name, run in everything():
        result(name, run)
