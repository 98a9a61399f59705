"""The whole zoo, each network in a process of its own: `python -m zoo`.

    python -m zoo                      every network that has no result yet, then the page
    python -m zoo unet resnet50        these; a part of a name stands for all that contain it
    python -m zoo --workers 2          two at a time, each on one core (--threads)
    python -m zoo --shard 1/4          every fourth
    python -m zoo --quick              neither other engines nor times
    python -m zoo --fresh              forgets the results that are there
    python -m zoo --keep times         all anew but the times of those results; with "peers", what
                                       is not ours neither
    python -m zoo --page               only the page, from the results that are there
    python -m zoo --list               the networks

Results are kept one file a network in `.cache/zoo/results`; what is missing is measured, so that a
run that was stopped goes on. A network has 15 minutes and 12 GiB. If its process dies while another
engine is prepared, that engine is left out and the network is measured again.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.results import json_text, write
from zoo.measure import BUILD, DONE, PEERS_TOO, TIMES, Settings, measure
from zoo.memory import resident_mebibytes
from zoo.network import Network
from zoo.page import headlines, write_page
from zoo.peers import AUTO, PEERS
from zoo.registry import NETWORKS, network_named

ROOT = Path(__file__).parents[1]
CACHE = ROOT / ".cache" / "zoo" / "results"
SECONDS, MEBIBYTES = 900, 12 * 1024
EVERY = 0.5
"""Seconds between two looks at a process."""

REPLACEABLE = {AUTO, *(peer.name for peer in PEERS)}


@dataclass(frozen=True)
class Limits:
    seconds: float = SECONDS
    mebibytes: int = MEBIBYTES


def main() -> None:
    arguments = parse()
    if arguments.measure:
        kept = read(aside(arguments.file)) if arguments.keep else {}
        settings = Settings(
            arguments.threads, arguments.quick, tuple(arguments.without), arguments.keep, kept
        )
        measure(network_named(arguments.measure), settings, arguments.file)
        return
    console = Console(stderr=True)
    try:
        chosen = shard(matching(arguments.networks), arguments.shard)
    except ValueError as error:
        sys.exit(f"zoo: {error}")
    if arguments.list:
        print(*(network.name for network in chosen), sep="\n")
        return
    limits = Limits(arguments.seconds, arguments.memory)
    settings = Settings(arguments.threads, arguments.quick, keep=arguments.keep)

    def account(numbered: tuple[int, Network]) -> None:
        number, network = numbered
        file = CACHE / f"{network.name}.json"
        if arguments.keep:
            set_aside(file, arguments.keep, fresh=arguments.fresh)
        elif arguments.fresh:
            file.unlink(missing_ok=True)
        if is_complete(file, quick=arguments.quick):
            return
        begin = time.perf_counter()
        found = apart(network, settings, file, limits)
        seconds = time.perf_counter() - begin
        line = f"{number:3}/{len(chosen)} {network.name:36} {seconds:5.0f} s  {in_short(found)}"
        console.print(line, markup=False, highlight=False, soft_wrap=True)

    with ThreadPoolExecutor(arguments.workers) as workers:
        list(workers.map(account, enumerate(chosen if not arguments.page else (), start=1)))
    results = [found for network in NETWORKS if (found := read(CACHE / f"{network.name}.json"))]
    print(*headlines(results), sep="\n")
    missing = [n.name for n in NETWORKS if not is_complete(CACHE / f"{n.name}.json", quick=False)]
    if not missing or arguments.page:
        write_page(results, threads=arguments.threads)
    else:
        print(f"{len(missing)} networks are not measured yet; the page is left as it is")


def matching(words: list[str]) -> list[Network]:
    """The networks whose names contain one of the words, or all; ValueError for a word without."""
    if not words:
        return list(NETWORKS)
    exact = {network.name for network in NETWORKS} & set(words)
    for word in words:
        if not any(word in network.name for network in NETWORKS):
            network_named(word)  # its error lists the names
    rest = [word for word in words if word not in exact]
    return [
        network
        for network in NETWORKS
        if network.name in exact or any(word in network.name for word in rest)
    ]


def shard(networks: list[Network], which: str) -> list[Network]:
    """`2/4`: the second of each four."""
    number, _, count = which.partition("/")
    return networks[int(number) - 1 :: int(count)]


def read(file: Path) -> dict[str, Any]:
    """A result; empty if there is none."""
    try:
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError):
        return {}
    return found


def is_complete(file: Path, *, quick: bool) -> bool:
    """True for a result that was carried to its end; a quick one does for a quick run only."""
    found = read(file)
    return found.get("stage") == DONE and (quick or not found.get("quick"))


def aside(file: Path) -> Path:
    """Where a result is kept while the network is measured anew."""
    return file.parent.with_name("kept") / file.name


def set_aside(file: Path, keep: str, *, fresh: bool) -> None:
    """Put a complete result where it is kept from; one that was made so only if `fresh`."""
    if is_complete(file, quick=False) and (fresh or read(file).get("kept") != keep):
        aside(file).parent.mkdir(parents=True, exist_ok=True)
        file.replace(aside(file))


def apart(network: Network, settings: Settings, file: Path, limits: Limits) -> dict[str, Any]:
    """The network's result from processes of its own, as many as it takes to get past the peers."""
    without: list[str] = []
    while True:
        file.unlink(missing_ok=True)
        death = watched(command(network, settings, without, file), limits)
        found = read(file)
        stage = found.get("stage", BUILD)
        if stage == DONE:
            return found
        if stage in REPLACEABLE and stage not in without:
            without.append(stage)
            continue
        found = {"name": network.name, "source": network.source, **found, "stage": DONE}
        found.setdefault("failures", {})[stage] = death
        found.setdefault("family", network.family)
        write(file, json_text(found))
        return found


def command(network: Network, settings: Settings, without: list[str], file: Path) -> list[str]:
    words = [sys.executable, "-m", "zoo", "--measure", network.name, "--file", str(file)]
    words += ["--threads", str(settings.threads)]
    words += ["--quick"] if settings.quick else []
    words += ["--keep", settings.keep] if settings.keep else []
    return words + (["--without", *without] if without else [])


def watched(words: list[str], limits: Limits) -> str:
    """Why the process ended: "" if it ended by itself and well."""
    threads = words[words.index("--threads") + 1]
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": threads,
        "TORCHINDUCTOR_COMPILE_THREADS": "1",  # no pool of processes
    }
    begin = time.perf_counter()
    with subprocess.Popen(
        words, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        assert process.stderr is not None
        os.set_blocking(process.stderr.fileno(), False)
        last = b""
        while process.poll() is None:
            time.sleep(EVERY)
            last = (last + (process.stderr.read() or b""))[-4000:]
            why = trespass(process.pid, time.perf_counter() - begin, limits)
            if why:
                process.kill()
                return why
        last = (last + (process.stderr.read() or b""))[-4000:]
    if process.returncode == 0:
        return ""
    lines = last.decode(errors="replace").strip().splitlines()
    ending = f"; {lines[-1][:160]}" if lines else ""
    return f"the process ended with {process.returncode}{ending}"


def trespass(process: int, seconds: float, limits: Limits) -> str:
    """Which limit the process has passed; "" if none."""
    if seconds > limits.seconds:
        return f"more than {limits.seconds:.0f} s"
    taken = resident_mebibytes(process)
    return f"{taken} MiB, more than {limits.mebibytes}" if taken > limits.mebibytes else ""


def in_short(found: dict[str, Any]) -> str:
    """One line for somebody who waits."""
    failures = found.get("failures", {})
    if QUANTIZE_FAILED & failures.keys():
        return "; ".join(f"{stage}: {error}" for stage, error in failures.items())
    coverage, decibel = found["coverage"], found.get("sqnr_db")
    parts = [
        f"{100 * coverage['share_of_macs']:6.2f} % of MACs",
        f"{len(coverage['islands'])} kinds of islands",
        "exact" if decibel is None else f"{decibel:.1f} dB",
        f"{found['quantize_seconds']:.1f} s to quantize",
    ]
    for row in found.get("engines", ()):
        outcome = row["failure"] or f"{row['milliseconds']} ms"
        parts.append(f"{row['engine']}: {outcome[:60]}")
    parts += [f"{stage}: {error}" for stage, error in failures.items()]
    return ", ".join(parts)


QUANTIZE_FAILED = {"build", "quantize"}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m zoo", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("networks", nargs="*", metavar="NAME")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--keep", choices=(TIMES, PEERS_TOO), default="")
    parser.add_argument("--page", action="store_true")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--shard", default="1/1", metavar="N/M")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--memory", type=int, default=MEBIBYTES, metavar="MIB")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--without", nargs="*", default=[], help=argparse.SUPPRESS)
    return parser.parse_args()
