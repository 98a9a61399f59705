"""zeropoint beside the other engines: `python -m benchmarks.run`.

Every network runs in a process of its own, every peer inside it takes turns with all others
(interleave.py). Writes `bench.json` and `bench.md`.
"""

import argparse
import math
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from benchmarks.cell import Cell, Failure, Settings, measure
from benchmarks.load import QUIET_CORES
from benchmarks.machine import Machine, command_line, describe, this_machine
from benchmarks.networks import NETWORKS
from benchmarks.peers import PEERS
from benchmarks.results import json_text, write
from benchmarks.summary import Row, details, headline_lines, headlines, int8_rate, overview, rows

DEFAULT_OUT = Path("benchmarks/results")


def main() -> None:
    arguments = parse()
    settings = Settings(
        peers=tuple(arguments.peers),
        batches=tuple(arguments.batches),
        threads=arguments.threads,
        rounds=arguments.rounds,
    )
    console = Console(stderr=True)
    machine = this_machine(command_line("benchmarks.run"), threads=settings.threads)
    cells: list[Cell] = []
    for network in arguments.networks:
        console.rule(network)
        cells += measure_apart(network, settings)
        write(arguments.out / "bench.json", as_json(machine, cells))
        write(arguments.out / "bench.md", as_markdown(machine, cells, settings))
    print(*headline_lines(cells), sep="\n")


def measure_apart(network: str, settings: Settings) -> list[Cell]:
    """The network's cells from a fresh process; a process that dies is failures in every cell."""
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=fresh) as pool:
        try:
            return pool.submit(measure, network, settings).result()
        except BrokenProcessPool:
            error = "the process that measured this network died; run its peers one by one"
            failures = [Failure(peer, error) for peer in settings.peers]
            return [Cell(network, batch, 0, 0.0, 0.0, [], failures) for batch in settings.batches]


def as_json(machine: Machine, cells: list[Cell]) -> str:
    """Everything measured, down to the single call."""
    document = {
        "machine": asdict(machine),
        "int8_macs_per_second": int8_rate(cells),
        "headlines": headlines(cells),
        "cells": [
            {
                "network": cell.network,
                "batch": cell.batch,
                "macs": cell.macs,
                "cores_used_by_others": round(cell.other_load, 3),
                "rows": [finite(row) for row in rows(cell, int8_rate(cells))],
                "failures": [asdict(failure) for failure in cell.failures],
                "calls_ms": {
                    timing.peer: [
                        [round(1000 * seconds, 4) for seconds in burst] for burst in timing.bursts
                    ]
                    for timing in cell.timings
                },
            }
            for cell in cells
        ],
    }
    return json_text(document)


def finite(row: Row) -> dict[str, object]:
    """The row for JSON, which has no infinity: an exact output's SQNR becomes null."""
    entries = asdict(row)
    if math.isinf(row.sqnr_db):
        entries["sqnr_db"] = None
    return entries


def as_markdown(machine: Machine, cells: list[Cell], settings: Settings) -> str:
    """The page that is committed."""
    load = max(cell.other_load for cell in cells)
    rate = int8_rate(cells) / 1e12
    parts = (
        "# Speed beside the other engines",
        describe(machine),
        f"Interleaved in one run, {settings.rounds} rounds; times are medians over all timed "
        "calls, speeds are medians over the rounds of the ratio within the round (above 1: "
        "faster than they). Input is a float32 NCHW tensor for everybody. Int8 rate of this "
        f"machine, 4096^3 uint8 by int8: {rate:.2f} T MAC/s. SQNR is against eager float, on "
        f"untrained weights. Other programs kept {load:.2f} cores busy in the worst cell"
        f"{': too many to trust these numbers' if load > QUIET_CORES else ''}.",
        "\n".join(f"- {line}" for line in headline_lines(cells)),
        "## Median ms, network / batch size",
        overview(cells),
        "## Every row",
        details(cells),
    )
    return "\n\n".join(parts) + "\n"


def parse() -> argparse.Namespace:
    networks = [network.name for network in NETWORKS]
    peers = [peer.name for peer in PEERS]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    parser.add_argument("--networks", nargs="+", choices=networks, default=networks)
    parser.add_argument("--peers", nargs="+", choices=peers, default=peers)
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 16])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT)
    return parser.parse_args()


if __name__ == "__main__":
    main()
