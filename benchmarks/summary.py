"""From timings to the numbers that are quoted: milliseconds, speeds, shares, and their means."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import geometric_mean

from benchmarks.cell import Cell, Timing
from benchmarks.interleave import median_seconds, speed
from benchmarks.peers import OPENVINO_INT8, PEERS, TORCH_COMPILE, ZEROPOINT
from benchmarks.results import markdown_table

MISSING = "-"


@dataclass(frozen=True)
class Row:
    """One peer in one cell. A speed is `their time / this time`: above 1 is faster than they.

    A speed is None where the peer it is held against did not run in that cell.
    """

    network: str
    batch: int
    peer: str
    median_ms: float
    speed_vs_openvino_int8: float | None
    speed_vs_torch_compile: float | None
    share_of_int8_rate: float
    sqnr_db: float
    prepare_seconds: float


def int8_rate(cells: Iterable[Cell]) -> float:
    """The machine's MAC/s: the highest that any process measured, since it is a ceiling."""
    return max((cell.int8_rate for cell in cells), default=0.0)


def rows(cell: Cell, rate: float) -> list[Row]:
    """A row for each peer that ran, in the order of the cell; `rate`: the machine's MAC/s."""
    bursts = {timing.peer: timing.bursts for timing in cell.timings}
    return [
        Row(
            network=cell.network,
            batch=cell.batch,
            peer=timing.peer,
            median_ms=1000 * median_seconds(timing.bursts),
            speed_vs_openvino_int8=against(timing, bursts.get(OPENVINO_INT8.name)),
            speed_vs_torch_compile=against(timing, bursts.get(TORCH_COMPILE.name)),
            share_of_int8_rate=cell.macs / median_seconds(timing.bursts) / rate,
            sqnr_db=timing.sqnr_db,
            prepare_seconds=timing.prepare_seconds,
        )
        for timing in cell.timings
    ]


def against(timing: Timing, reference: list[list[float]] | None) -> float | None:
    return None if reference is None else speed(timing.bursts, reference)


def headlines(cells: list[Cell]) -> dict[str, float]:
    """Our speed in a few numbers, by what they say; those that could not be measured are absent."""
    ours = [row for row in all_rows(cells) if row.peer == ZEROPOINT.name]
    by_openvino = [row.speed_vs_openvino_int8 for row in ours]
    found: dict[str, float] = {}
    measured = [value for value in by_openvino if value is not None]
    if measured:
        name = f"speed vs {OPENVINO_INT8.name}, geometric mean of {len(measured)} cells"
        found[name] = geometric_mean(measured)
    for row in ours:
        if row.speed_vs_torch_compile is not None:
            name = f"speed vs {TORCH_COMPILE.name}, {row.network} batch {row.batch}"
            found[name] = row.speed_vs_torch_compile
    return found


def headline_lines(cells: list[Cell]) -> list[str]:
    """The headlines as sentences, or one that says that there are none."""
    found = headlines(cells)
    if not found:
        return [f"No cell has both {ZEROPOINT.name} and an engine to hold it against."]
    return [f"{ZEROPOINT.name}: {name}: {value:.2f}x" for name, value in found.items()]


def overview(cells: list[Cell]) -> str:
    """Medians in ms of every peer, one column for each cell."""
    header = ["ms", *(f"{cell.network} / {cell.batch}" for cell in cells)]
    medians = {(row.network, row.batch, row.peer): row.median_ms for row in all_rows(cells)}
    lines = []
    for peer in peers_of(cells):
        times = (medians.get((cell.network, cell.batch, peer)) for cell in cells)
        lines.append([peer, *(milliseconds(time) for time in times)])
    return markdown_table(header, lines)


def details(cells: list[Cell]) -> str:
    """Everything else: one line for each peer and cell, failed peers with their error."""
    header = (
        "network / batch, peer",
        "median ms",
        f"speed vs {OPENVINO_INT8.name}",
        f"speed vs {TORCH_COMPILE.name}",
        "share of int8 rate",
        "SQNR dB",
        "prepared in s",
    )
    rate = int8_rate(cells)
    lines = []
    for cell in cells:
        for row in rows(cell, rate):
            lines.append(
                [
                    f"{row.network} / {row.batch}, {row.peer}",
                    milliseconds(row.median_ms),
                    times(row.speed_vs_openvino_int8),
                    times(row.speed_vs_torch_compile),
                    f"{100 * row.share_of_int8_rate:.0f} %",
                    "exact" if math.isinf(row.sqnr_db) else f"{row.sqnr_db:.1f}",
                    f"{row.prepare_seconds:.1f}",
                ]
            )
        for failure in cell.failures:
            name = f"{cell.network} / {cell.batch}, {failure.peer}: {failure.error}"
            lines.append([name, *(MISSING for _ in header[1:])])
    return markdown_table(header, lines)


def all_rows(cells: list[Cell]) -> list[Row]:
    return [row for cell in cells for row in rows(cell, int8_rate(cells))]


def peers_of(cells: list[Cell]) -> list[str]:
    """The peers that appear in any cell, in the order of the registry."""
    present = {timing.peer for cell in cells for timing in cell.timings}
    present |= {failure.peer for cell in cells for failure in cell.failures}
    return [peer.name for peer in PEERS if peer.name in present]


def milliseconds(value: float | None) -> str:
    if value is None:
        return MISSING
    return f"{value:.3f}" if value < 1 else f"{value:.2f}" if value < 100 else f"{value:.0f}"


def times(value: float | None) -> str:
    return MISSING if value is None else f"{value:.2f}x"
