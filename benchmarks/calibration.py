"""What `zp.quantize` itself costs: `python -m benchmarks.calibration`.

time     ResNet-18, 512 images: the calibration against the float channels_last forward over
         the same images, taking turns in one process
memory   the same two, each in a process of its own that holds one batch of images at a time
other    ResNet-50: everything in `zp.quantize` except calibration

Writes `calibration.json` and `calibration.md`.
"""

import argparse
import multiprocessing
import resource
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import TypeVar

import torch
from rich.console import Console
from torch import Tensor, nn

from benchmarks.images import images
from benchmarks.load import QUIET_CORES, OtherLoad
from benchmarks.machine import Machine, command_line, describe, this_machine
from benchmarks.networks import build, network_named
from benchmarks.peers.torch_channels_last import in_channels_last
from benchmarks.results import json_text, markdown_table, write

DEFAULT_OUT = Path("benchmarks/results")
LOOKS_AT_DATA = ("equalize", "calibrate")  # stages in `QuantizedModel.timings`
CALIBRATED, LOWERED = network_named("resnet18"), network_named("resnet50")
FEW_IMAGES = 32
SEED = 300

Result = TypeVar("Result")


@dataclass(frozen=True)
class Workload:
    """How many images, in batches of which size, on how many threads, how often over."""

    count: int
    batch: int
    threads: int
    rounds: int


@dataclass(frozen=True)
class Times:
    """Seconds in each round. `other_load`: cores that other programs kept busy meanwhile."""

    float_forward: list[float]
    calibrate: list[float]
    quantize: list[float]
    other_load: float

    @property
    def ratio(self) -> float:
        """Calibration over float forward: the median over the rounds."""
        pairs = zip(self.calibrate, self.float_forward, strict=True)
        return median(ours / floats for ours, floats in pairs)


@dataclass(frozen=True)
class Memory:
    """Peak resident MiB of a process that imports, builds the network, and then does one thing."""

    built: float
    float_forward: float
    quantize: float

    @property
    def ratio(self) -> float:
        return self.quantize / self.float_forward


def main() -> None:
    arguments = parse()
    work = Workload(arguments.images, arguments.batch, arguments.threads, arguments.rounds)
    console = Console(stderr=True)
    console.print(f"{CALIBRATED.name}, {work.count} images: time")
    times = apart(measure_times, work)
    console.print(f"{CALIBRATED.name}, {work.count} images: memory")
    memory = Memory(
        built=apart(peak_of_nothing, work),
        float_forward=apart(peak_of_float_forward, work),
        quantize=apart(peak_of_quantize, work),
    )
    console.print(f"{LOWERED.name}: stages")
    stages = apart(measure_stages, work)
    machine = this_machine(command_line("benchmarks.calibration"), threads=work.threads)
    write(arguments.out / "calibration.json", as_json(machine, work, times, memory, stages))
    page = as_markdown(machine, work, times, memory, stages)
    write(arguments.out / "calibration.md", page)
    print(table(work, times, memory, stages))


def measure_times(work: Workload) -> Times:
    """Both sides, turn by turn, over images that are made beforehand: making them is no part."""
    import zeropoint as zp

    torch.set_num_threads(work.threads)
    model = build(CALIBRATED)
    batches = list(make_batches(work))
    float_forward(model, batches[:1])  # the first call in a process allocates and picks kernels
    floats, calibrations, totals = [], [], []
    with OtherLoad() as load:
        for _ in range(work.rounds):
            floats.append(seconds_of(lambda: float_forward(model, batches)))
            start = time.perf_counter()
            quantized = zp.quantize(model, batches, samples=work.count)
            totals.append(time.perf_counter() - start)
            calibrations.append(sum(quantized.timings[stage] for stage in LOOKS_AT_DATA))
    return Times(floats, calibrations, totals, load.cores)


def measure_stages(work: Workload) -> dict[str, float]:
    """Seconds of each stage of `zp.quantize` on the larger network, and "total" by our clock."""
    import zeropoint as zp

    torch.set_num_threads(work.threads)
    model = build(LOWERED)
    batches = [images(LOWERED.image, FEW_IMAGES, seed=SEED)]
    start = time.perf_counter()
    quantized = zp.quantize(model, batches)
    total = time.perf_counter() - start
    return {**{str(k): float(v) for k, v in quantized.timings.items()}, "total": total}


def peak_of_nothing(work: Workload) -> float:
    """Peak MiB of what both sides share: the imports and the network."""
    torch.set_num_threads(work.threads)
    build(CALIBRATED)
    return peak_mib()


def peak_of_float_forward(work: Workload) -> float:
    """Peak MiB after the float forward over images made batch by batch."""
    torch.set_num_threads(work.threads)
    float_forward(build(CALIBRATED), make_batches(work))
    return peak_mib()


def peak_of_quantize(work: Workload) -> float:
    """Peak MiB after `zp.quantize` over images made batch by batch."""
    import zeropoint as zp

    torch.set_num_threads(work.threads)
    zp.quantize(build(CALIBRATED), Batches(work), samples=work.count)
    return peak_mib()


def float_forward(model: nn.Module, batches: Iterable[Tensor]) -> None:
    """The model in channels_last over all batches."""
    turned = in_channels_last(model)
    with torch.inference_mode():
        for batch in batches:
            turned(batch.contiguous(memory_format=torch.channels_last))


class Batches:
    """The images as a loader gives them: made when asked for, the same on every pass."""

    def __init__(self, work: Workload) -> None:
        self.work = work

    def __iter__(self) -> Iterator[Tensor]:
        return make_batches(self.work)


def make_batches(work: Workload) -> Iterator[Tensor]:
    """`work.count` images; the last batch may be short."""
    for start in range(0, work.count, work.batch):
        yield images(CALIBRATED.image, min(work.batch, work.count - start), seed=SEED + start)


def apart(measurement: Callable[[Workload], Result], work: Workload) -> Result:
    """The measurement's result, from a fresh process whose peak memory is its own."""
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=fresh) as pool:
        return pool.submit(measurement, work).result()


def seconds_of(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def peak_mib() -> float:
    """The most memory this process ever had resident. Linux counts in KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def apart_from_calibration(stages: dict[str, float]) -> float:
    return stages["total"] - sum(stages[stage] for stage in LOOKS_AT_DATA)


def as_json(
    machine: Machine, work: Workload, times: Times, memory: Memory, stages: dict[str, float]
) -> str:
    document = {
        "machine": asdict(machine),
        "workload": asdict(work),
        "seconds": {**asdict(times), "ratio": times.ratio},
        "peak_mib": {**asdict(memory), "ratio": memory.ratio},
        f"{LOWERED.name}_seconds": {
            **stages,
            "apart_from_calibration": apart_from_calibration(stages),
        },
    }
    return json_text(document)


def as_markdown(
    machine: Machine, work: Workload, times: Times, memory: Memory, stages: dict[str, float]
) -> str:
    """The page that is committed."""
    busy = times.other_load > QUIET_CORES
    parts = (
        "# What `zp.quantize` costs",
        describe(machine),
        f"{CALIBRATED.name}, {work.count} images of 224x224 in batches of {work.batch}, "
        f"{work.rounds} rounds in which both sides take turns; medians. Other programs kept "
        f"{times.other_load:.2f} cores busy during them"
        f"{': too many to trust these numbers' if busy else ''}. "
        f"Memory is the peak of a whole process, of which {memory.built:.0f} MiB are the imports "
        "and the network.",
        table(work, times, memory, stages),
        f"## Stages on {LOWERED.name}, {FEW_IMAGES} images",
        markdown_table(
            ("stage", "seconds"), ((name, f"{value:.2f}") for name, value in stages.items())
        ),
    )
    return "\n\n".join(parts) + "\n"


def table(work: Workload, times: Times, memory: Memory, stages: dict[str, float]) -> str:
    """The three measurements, a line each."""
    rows = (
        (
            f"{CALIBRATED.name}, {work.count} images: seconds",
            f"{median(times.float_forward):.2f}",
            f"{median(times.calibrate):.2f}",
            f"{times.ratio:.2f}x",
        ),
        (
            f"{CALIBRATED.name}, {work.count} images: peak MiB",
            f"{memory.float_forward:.0f}",
            f"{memory.quantize:.0f}",
            f"{memory.ratio:.2f}x",
        ),
        (
            f"{LOWERED.name}: seconds apart from calibration",
            "",
            f"{apart_from_calibration(stages):.2f}",
            "",
        ),
    )
    return markdown_table(("", "float channels_last", "zp.quantize", "ratio"), rows)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.calibration")
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT)
    return parser.parse_args()


if __name__ == "__main__":
    main()
