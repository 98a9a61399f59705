"""What each calibrator makes of the same data: `python -m benchmarks.calibrators`.

values    the simulated SQNR of every activation, over its histogram: mean and minimum by network
outputs   the measured SQNR of the whole integer network's output, on images it has not seen
seconds   all calibrators for all values of ResNet-50, after the one pass over the data

Weights are those of the ordinary recipe throughout: 8 bits, a scale for each channel. The trained
network is that of `studies/mnist_static`, on MNIST; it is left out where there is neither. Writes
`calibrators.json` and `calibrators.md`, and the tables into `docs/calibrators.md`.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean

import torch
from rich.console import Console
from torch import Tensor, nn

import zeropoint as zp
from benchmarks.images import images
from benchmarks.machine import Machine, command_line, describe, this_machine
from benchmarks.networks import build, network_named
from benchmarks.results import filled, json_text, markdown_table, write
from studies.mnist_static import training
from zeropoint.arithmetic.integer import IntegerType
from zeropoint.data import open_data
from zeropoint.observe.best import CALIBRATORS, Best
from zeropoint.observe.calibrator import Calibrator
from zeropoint.observe.error import sqnr_db
from zeropoint.observe.statistics_choice import choice_of

DEFAULT_OUT = Path("benchmarks/results")
PAGE = Path("docs/calibrators.md")

EVERY: tuple[Calibrator, ...] = (*CALIBRATORS, Best())
BITS = (8, 6, 4)
SEEDED = ("resnet18", "mobilenet_v2")
TIMED = "resnet50"
BATCH = 16
SEED = 300
DIGITS = 512


@dataclass(frozen=True)
class Case:
    """A network with the batches to observe it on, and others to measure its output on."""

    name: str
    model: nn.Module
    observed: list[Tensor]
    measured: list[Tensor]


@dataclass(frozen=True)
class Result:
    """Decibels of one calibrator at some bits on one network.

    `over_mse`: by how many it is above `MSE()` on the activation where that comes off worst.
    """

    network: str
    bits: int
    calibrator: str
    mean: float
    least: float
    over_mse: float
    output: float


@dataclass(frozen=True)
class Times:
    """CPU seconds for all values of a network, by calibrator."""

    network: str
    values: int
    by_calibrator: dict[str, float]


def main() -> None:
    arguments = parse()
    torch.set_num_threads(arguments.threads)
    console = Console(stderr=True)
    results: list[Result] = []
    for case in cases(arguments.images, console):
        console.print(case.name)
        results += measure(case)
    console.print(TIMED)
    times = measure_times(arguments.images)
    machine = this_machine(command_line("benchmarks.calibrators"), threads=arguments.threads)
    document = {
        "machine": asdict(machine),
        "images": arguments.images,
        "results": [asdict(result) for result in results],
        "times": asdict(times),
    }
    write(arguments.out / "calibrators.json", json_text(document))
    page = as_markdown(machine, arguments.images, results, times)
    write(arguments.out / "calibrators.md", f"# Calibrators\n\n{page}\n")
    if PAGE.exists():
        write(PAGE, filled(PAGE.read_text(), {"measured": f"\n{page}\n"}))
    print(page)


def cases(count: int, console: Console) -> list[Case]:
    """The seeded networks on seeded images, and the trained one on its own, if they are there."""
    found = [seeded(name, count) for name in SEEDED]
    try:
        model = training.trained(0)
        observed, measured = (digits(split) for split in ("train", "test"))
    except (OSError, zp.ZeropointError) as error:
        console.print(f"without the trained network: {error}")
        return found
    return [*found, Case("mnist (trained)", model, observed, measured)]


def digits(split: str) -> list[Tensor]:
    data = training.dataset(split)
    return [x for x, _ in open_data(data, batch_size=64, samples=DIGITS, shuffle_seed=0)]


def seeded(name: str, count: int) -> Case:
    network = network_named(name)
    pictures = images(network.image, 2 * count, seed=SEED)
    return Case(
        name,
        build(network),
        list(torch.split(pictures[:count], BATCH)),
        list(torch.split(pictures[count:], BATCH)),
    )


def measure(case: Case) -> list[Result]:
    """One pass over the data; then every calibrator at every number of bits."""
    statistics = zp.observe(case.model, case.observed)
    with torch.inference_mode():
        expected = torch.cat([case.model(batch) for batch in case.measured])
    return [
        measure_one(case, statistics, expected, bits, calibrator)
        for bits in BITS
        for calibrator in EVERY
    ]


def measure_one(
    case: Case, statistics: zp.Statistics, expected: Tensor, bits: int, calibrator: Calibrator
) -> Result:
    type = IntegerType(bits, signed=False)
    found, best = (
        [choice_of(c, seen, type, False).sqnr_db for seen in statistics.observations.values()]
        for c in (calibrator, zp.MSE())
    )
    over = max(mine - other for mine, other in zip(found, best, strict=True))
    activations = zp.TensorSpec(bits=bits, calibrator=calibrator)
    recipe = zp.Recipe(activations=activations, bias_correction=False, gptq=False, equalize=False)
    quantized = zp.quantize(case.model, statistics, recipe)
    output = torch.cat([quantized(batch) for batch in case.measured]).double()
    noise = (output - expected).square().sum().item()
    decibels = sqnr_db(expected.double().square().sum().item(), noise)
    return Result(case.name, bits, repr(calibrator), fmean(found), min(found), over, decibels)


def measure_times(count: int) -> Times:
    """Each calibrator alone over all values; `Best` runs the others once more."""
    case = seeded(TIMED, min(count, 2 * BATCH))
    statistics = zp.observe(case.model, case.observed)
    type = IntegerType(8, signed=False)
    by_calibrator = {}
    for calibrator in EVERY:
        start = time.process_time()
        for observation in statistics.observations.values():
            calibrator.from_observation(observation, type, symmetric=False)
        by_calibrator[repr(calibrator)] = time.process_time() - start
    return Times(TIMED, len(statistics.values), by_calibrator)


def as_markdown(machine: Machine, count: int, results: Sequence[Result], times: Times) -> str:
    """The tables, with what they were measured on."""
    networks = list(dict.fromkeys(result.network for result in results))
    most = max(result.over_mse for result in results)
    total = sum(times.by_calibrator.values())
    parts = [
        describe(machine),
        f"{' and '.join(SEEDED)} have seeded weights and see {count} seeded images; mnist is "
        f"trained, and sees {DIGITS} digits. Affine grids. "
        "Decibels: *mean* and *min* over all activations, simulated; *output* of the whole integer "
        "network on other images, measured. The most that any calibrator is above `MSE()` on any "
        f"activation is {most:.4f} dB.",
    ]
    for bits in BITS:
        header = ["activations of " + str(bits) + " bits"]
        header += [f"{name}: {what}" for name in networks for what in ("mean", "min", "output")]
        parts.append(markdown_table(header, (row(results, networks, bits, c) for c in EVERY)))
    parts.append(
        f"All calibrators for the {times.values} activations of {times.network}, after the pass: "
        f"{total:.2f} s of processor time:"
    )
    seconds = times.by_calibrator
    parts.append(markdown_table(seconds, [[f"{value:.3f} s" for value in seconds.values()]]))
    return "\n\n".join(parts)


def row(
    results: Sequence[Result], networks: Sequence[str], bits: int, calibrator: Calibrator
) -> list[str]:
    """A calibrator's decibels on each network; the best of a column in bold."""
    same = [result for result in results if result.bits == bits]
    cells = [f"`{calibrator!r}`"]
    for network in networks:
        column = [result for result in same if result.network == network]
        mine = next(result for result in column if result.calibrator == repr(calibrator))
        for what in ("mean", "least", "output"):
            best = max(round(getattr(result, what), 1) for result in column)
            value = round(getattr(mine, what), 1)
            cells.append(f"**{value:.1f}**" if value == best else f"{value:.1f}")
    return cells


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.calibrators")
    parser.add_argument("--images", type=int, default=128)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT)
    return parser.parse_args()


if __name__ == "__main__":
    main()
