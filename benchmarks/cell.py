"""One network with every peer, at each batch size: what the table is made from."""

import gc
import math
import re
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor, nn

from benchmarks.images import images
from benchmarks.interleave import Contestant, interleave
from benchmarks.load import OtherLoad
from benchmarks.machine import without_folders
from benchmarks.macs import multiply_accumulates
from benchmarks.networks import build, network_named
from benchmarks.peers import peer_named
from benchmarks.peers.peer import Peer, Runner
from benchmarks.quiet import quiet
from benchmarks.roofline import int8_rate

CALIBRATION_BATCHES, CALIBRATION_BATCH_SIZE = 4, 8
CALIBRATION_SEED, EXAMPLE_SEED = 100, 200
LONGEST_ERROR = 160
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Settings:
    """What is measured, by name, so that it can be sent to another process."""

    peers: tuple[str, ...]
    batches: tuple[int, ...]
    threads: int
    rounds: int


@dataclass(frozen=True)
class Timing:
    """A peer that ran. `bursts`: the seconds of every timed call, one list for each round."""

    peer: str
    prepare_seconds: float
    sqnr_db: float
    bursts: list[list[float]]


@dataclass(frozen=True)
class Failure:
    """A peer that did not, and its error in one line."""

    peer: str
    error: str


@dataclass(frozen=True)
class Cell:
    """One network at one batch size.

    `macs`: of the whole batch; `int8_rate`: MAC/s, as measured in the same process;
    `other_load`: cores that other programs kept busy during the timing.
    """

    network: str
    batch: int
    macs: int
    int8_rate: float
    other_load: float
    timings: list[Timing]
    failures: list[Failure]


@dataclass(frozen=True)
class Prepared:
    contestant: Contestant
    prepare_seconds: float
    sqnr_db: float


def measure(network_name: str, settings: Settings) -> list[Cell]:
    """The cells of one network. Run it in a process of its own: engines keep what they allocate."""
    torch.set_num_threads(settings.threads)
    console = Console(stderr=True)
    model = build(network_named(network_name))
    shape = network_named(network_name).image
    calibration = [
        images(shape, CALIBRATION_BATCH_SIZE, seed=CALIBRATION_SEED + number)
        for number in range(CALIBRATION_BATCHES)
    ]
    rate = int8_rate()
    cells = []
    for batch in settings.batches:
        torch.compiler.reset()  # the other batch size's guards would be tried on each call
        gc.collect()
        example = images(shape, batch, seed=EXAMPLE_SEED)
        prepared, failures = prepare_all(model, calibration, example, settings, console)
        turns = track(
            range(settings.rounds),
            description=f"{network_name}, batch {batch}",
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        with OtherLoad() as load:
            seconds = interleave([each.contestant for each in prepared], turns)
        timings = [
            Timing(
                each.contestant.name,
                each.prepare_seconds,
                each.sqnr_db,
                seconds[each.contestant.name],
            )
            for each in prepared
        ]
        macs = multiply_accumulates(model, example)
        cells.append(Cell(network_name, batch, macs, rate, load.cores, timings, failures))
    return cells


def prepare_all(
    model: nn.Module,
    calibration: list[Tensor],
    example: Tensor,
    settings: Settings,
    console: Console,
) -> tuple[list[Prepared], list[Failure]]:
    """Every peer, ready to be timed on the example; those that failed, with their errors."""
    with torch.no_grad():
        expected = model(example)
    prepared, failures = [], []
    for name in settings.peers:
        attempt = prepare(peer_named(name), model, calibration, example, expected, settings)
        if isinstance(attempt, Failure):
            failures.append(attempt)
            outcome = attempt.error
        else:
            prepared.append(attempt)
            outcome = f"ready in {attempt.prepare_seconds:.1f} s, {attempt.sqnr_db:.1f} dB"
        console.print(
            f"batch {len(example):2}  {name:26} {outcome}",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
    return prepared, failures


def prepare(
    peer: Peer,
    model: nn.Module,
    calibration: list[Tensor],
    example: Tensor,
    expected: Tensor,
    settings: Settings,
) -> Prepared | Failure:
    """The peer, its first call made and compared with the float model's output."""
    start = time.perf_counter()
    try:
        with quiet():
            runner = peer.prepare(model, calibration, example=example, threads=settings.threads)
            seconds = time.perf_counter() - start
            found = torch.as_tensor(runner(example)).clone()
    except Exception as error:  # whatever an engine raises becomes its row
        return Failure(peer.name, one_line(error))
    if found.shape != expected.shape or not bool(found.isfinite().all()):
        return Failure(peer.name, f"output is not finite or not of shape {tuple(expected.shape)}")
    return Prepared(Contestant(peer.name, call(runner, example)), seconds, sqnr(expected, found))


def call(runner: Runner, example: Tensor) -> Callable[[], object]:
    return lambda: runner(example)


def sqnr(expected: Tensor, found: Tensor) -> float:
    """10 log10 of the signal's energy over the error's, in dB; infinite where they agree."""
    signal, noise = expected.double(), found.double() - expected.double()
    energy = float(noise.square().sum())
    if energy == 0:
        return math.inf
    return 10 * math.log10(float(signal.square().sum()) / energy)


def one_line(error: Exception) -> str:
    """The error's type and first line, without paths and colours."""
    plain = COLOURS.sub("", str(error))
    lines = [line.strip() for line in plain.splitlines() if line.strip()]
    text = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    return without_folders(text)[:LONGEST_ERROR]
