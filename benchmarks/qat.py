"""What a step of quantization-aware training costs: `python -m benchmarks.qat`.

step     forward, loss, backward and SGD of ResNet-20 on 32x32 images, in channels_last
peers    float, zeropoint and others at 8 bits, taking turns (interleave.py) in one process

once in float32 and once under bfloat16 autocast. Before it is timed, each peer's convolutions are
looked at: how many of them read 8-bit grids. Writes `qat.json` and `qat.md`.
"""

import argparse
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.cell import Failure, one_line
from benchmarks.images import images
from benchmarks.interleave import Contestant, interleave, median_seconds, speed
from benchmarks.load import QUIET_CORES, OtherLoad
from benchmarks.machine import Machine, command_line, describe, this_machine
from benchmarks.qat_peers import FLOAT, PEERS, ZEROPOINT, peer_named
from benchmarks.qat_peers.peer import Peer
from benchmarks.quiet import quiet
from benchmarks.results import json_text, markdown_table, write
from benchmarks.summary import MISSING, milliseconds, times
from studies.low_bits.network import ResNet20
from studies.training import in_channels_last

DEFAULT_OUT = Path("benchmarks/results")
DISTRIBUTIONS = ("zeropoint", "torch", "torchao", "brevitas", "numpy")
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
IMAGE, CLASSES = (3, 32, 32), 10
CALIBRATION_BATCHES = 2
SEED = 500

LEARNING_RATE = 1e-4
"""So small that the network of the last step is still that of the first."""

CODES = 256
"""Different numbers on an 8-bit grid."""

LOOKED_AT = 4
"""Images over which a convolution's input is counted."""


@dataclass(frozen=True)
class Timing:
    """A peer that ran. `bursts`: the seconds of every timed step, one list for each round.

    `quantized` of its `convolutions` read 8-bit grids only.
    """

    peer: str
    quantized: int
    convolutions: int
    bursts: list[list[float]]


@dataclass(frozen=True)
class Cell:
    """All peers in one dtype. `other_load`: cores that other programs kept busy meanwhile."""

    dtype: str
    other_load: float
    timings: list[Timing]
    failures: list[Failure]


@dataclass(frozen=True)
class Row:
    """One peer in one dtype. A cost is `this time / their time`; None where they did not run."""

    peer: str
    median_ms: float
    of_float: float | None
    of_zeropoint: float | None
    quantized: int
    convolutions: int


@dataclass(frozen=True)
class Prepared:
    contestant: Contestant
    quantized: int
    convolutions: int


def main() -> None:
    arguments = parse()
    torch.set_num_threads(arguments.threads)
    console = Console(stderr=True)
    peers = [peer_named(name) for name in arguments.peers]
    machine = this_machine(
        command_line("benchmarks.qat"), threads=arguments.threads, distributions=DISTRIBUTIONS
    )
    cells = []
    for dtype in arguments.dtypes:
        console.rule(dtype)
        cells.append(measure(peers, dtype, arguments.batch, arguments.rounds, console))
        write(arguments.out / "qat.json", as_json(machine, cells, arguments.batch))
        page = as_markdown(machine, cells, arguments.batch, arguments.rounds)
        write(arguments.out / "qat.md", page)
    print(*(f"{cell.dtype}\n\n{table(cell)}\n" for cell in cells), sep="\n")


def measure(peers: list[Peer], dtype: str, batch: int, rounds: int, console: Console) -> Cell:
    """All peers in turns, on a seeded network and seeded images."""
    model, calibration = network(batch), batches(batch, CALIBRATION_BATCHES)
    prepared: list[Prepared] = []
    failures: list[Failure] = []
    for peer in peers:
        try:
            with quiet():
                prepared.append(prepare(peer, model, calibration, dtype))
            outcome = "ready"
        except Exception as error:  # whatever a peer raises becomes its row
            failures.append(Failure(peer.name, one_line(error)))
            outcome = failures[-1].error
        console.print(f"{peer.name:34} {outcome}", markup=False, highlight=False, soft_wrap=True)
    turns = track(
        range(rounds),
        description=dtype,
        console=console,
        disable=not console.is_terminal,
        transient=True,
    )
    with OtherLoad() as load, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        seconds = interleave([each.contestant for each in prepared], turns)
    timings = [
        Timing(
            each.contestant.name,
            each.quantized,
            each.convolutions,
            seconds[each.contestant.name],
        )
        for each in prepared
    ]
    return Cell(dtype, load.cores, timings, failures)


def network(batch: int) -> nn.Module:
    """ResNet-20 with seeded weights, running statistics as of one batch, in channels_last."""
    torch.manual_seed(SEED)
    model = in_channels_last(ResNet20())
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        model.train()(batches(batch, 1)[0])
    for norm in norms:
        norm.momentum = 0.1
    return model.eval()


def batches(size: int, count: int) -> list[Tensor]:
    pictures = images(IMAGE, size * count, seed=SEED)
    return [
        batch.contiguous(memory_format=torch.channels_last) for batch in torch.split(pictures, size)
    ]


def prepare(peer: Peer, model: nn.Module, calibration: list[Tensor], dtype: str) -> Prepared:
    """The peer, its first step made; RuntimeError where something was not trained by it."""
    module, x = peer.prepare(model, calibration), calibration[0]
    step = training_step(module, x, DTYPES[dtype])
    if not bool(step().isfinite()):
        raise RuntimeError("the loss is not finite")
    lost = [name for name, p in module.named_parameters() if p.requires_grad and p.grad is None]
    if lost:
        raise RuntimeError(f"{len(lost)} parameters have no gradient, {lost[0]!r} first")
    return Prepared(Contestant(peer.name, step), *look(module, x, DTYPES[dtype]))


def training_step(module: nn.Module, x: Tensor, dtype: torch.dtype) -> Callable[[], Tensor]:
    """A call makes one step on these images, and returns the loss before it."""
    labels = torch.arange(len(x)) % CLASSES
    optimizer = torch.optim.SGD(
        module.parameters(), lr=LEARNING_RATE, momentum=0.9, nesterov=True, weight_decay=5e-4
    )

    def step() -> Tensor:
        optimizer.zero_grad()
        with autocast(dtype):
            logits = module(x)
        loss = nn.functional.cross_entropy(logits.float(), labels)
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it unannotated
        optimizer.step()
        return loss.detach()

    return step


def autocast(dtype: torch.dtype) -> torch.autocast:
    return torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16)


def look(module: nn.Module, x: Tensor, dtype: torch.dtype) -> tuple[int, int]:
    """How many convolutions of a forward pass read 8-bit grids only, and how many there are."""
    with torch.no_grad(), autocast(dtype), Convolutions() as seen:
        module(x)
    return seen.quantized, seen.all


class Convolutions(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's
    """A `with` block that counts the convolutions in it, and those of numbers on 8-bit grids."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's
        self.all = self.quantized = 0

    # Any: the signature is torch's.
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten.convolution.default:
            x, weight = args[:2]
            self.all += 1
            rows = (x[:LOOKED_AT], *weight)  # a weight's channels have a grid each
            self.quantized += all(len(row.unique()) <= CODES for row in rows)
        return func(*args, **(kwargs or {}))


# --- results -------------------------------------------------------------------------------------


def rows(cell: Cell) -> list[Row]:
    """A row for each peer that ran, in the order of the cell."""
    bursts = {timing.peer: timing.bursts for timing in cell.timings}
    return [
        Row(
            peer=timing.peer,
            median_ms=1000 * median_seconds(timing.bursts),
            of_float=cost(timing.bursts, bursts.get(FLOAT.name)),
            of_zeropoint=cost(timing.bursts, bursts.get(ZEROPOINT.name)),
            quantized=timing.quantized,
            convolutions=timing.convolutions,
        )
        for timing in cell.timings
    ]


def cost(bursts: list[list[float]], of: list[list[float]] | None) -> float | None:
    """How many times as long as the other: the median over rounds of the ratio of medians."""
    return None if of is None else speed(of, bursts)


def table(cell: Cell) -> str:
    """A line for each peer; those that failed, with their error, at the end."""
    header = ("step", "ms", "of float", "of zeropoint", "convolutions on 8-bit grids")
    lines = [
        [
            row.peer,
            milliseconds(row.median_ms),
            times(row.of_float),
            times(row.of_zeropoint),
            f"{row.quantized} of {row.convolutions}",
        ]
        for row in rows(cell)
    ]
    lines += [
        [f"{failure.peer}: {failure.error}", *(MISSING for _ in header[1:])]
        for failure in cell.failures
    ]
    return markdown_table(header, lines)


def as_json(machine: Machine, cells: list[Cell], batch: int) -> str:
    """Everything measured, down to the single step."""
    document = {
        "machine": asdict(machine),
        "network": "ResNet-20",
        "batch": batch,
        "cells": [
            {
                "dtype": cell.dtype,
                "cores_used_by_others": round(cell.other_load, 3),
                "rows": [asdict(row) for row in rows(cell)],
                "failures": [asdict(failure) for failure in cell.failures],
                "steps_ms": {
                    timing.peer: [
                        [round(1000 * seconds, 2) for seconds in burst] for burst in timing.bursts
                    ]
                    for timing in cell.timings
                },
            }
            for cell in cells
        ],
    }
    return json_text(document)


def as_markdown(machine: Machine, cells: list[Cell], batch: int, rounds: int) -> str:
    """The page that is committed."""
    load = max(cell.other_load for cell in cells)
    parts = [
        "# What a step of quantization-aware training costs",
        describe(machine),
        f"ResNet-20, batches of {batch} images of 32x32, channels_last; forward, loss, backward "
        f"and SGD. All in turns in one run, {rounds} rounds; milliseconds are medians over all "
        "timed steps, the other columns medians over the rounds of the ratio within the round. "
        "*zeropoint* is `prepare_qat(model, loader)`: learned steps, live batch norms; *moving "
        "ranges* has `MovingRange()` and `CurrentRange()`, *folded* has `Folded()`. *brevitas* "
        "keeps batch norms, *brevitas, folded* merges them first. torchao PT2E runs a network "
        "whose blocks have two ReLUs instead of one that is called twice, which it refuses. Other "
        f"programs kept {load:.2f} cores busy"
        f"{': too many to trust the milliseconds' if load > QUIET_CORES else ''}.",
    ]
    for cell in cells:
        title = "bfloat16 autocast" if cell.dtype == "bfloat16" else cell.dtype
        parts += [f"## {title}", table(cell)]
    return "\n\n".join(parts) + "\n"


def parse() -> argparse.Namespace:
    names = [peer.name for peer in PEERS]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.qat")
    parser.add_argument("--peers", nargs="+", choices=names, default=names)
    parser.add_argument("--dtypes", nargs="+", choices=DTYPES, default=list(DTYPES))
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=12, help="1 for a short look")
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT)
    return parser.parse_args()


if __name__ == "__main__":
    main()
