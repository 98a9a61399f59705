"""Many random networks, in processes of their own, so that one that dies is named.

python -m tests.random_networks --count 300 --seed 0
python -m tests.random_networks --count 1 --seed 17 --engine onednn
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence

import torch

from tests.random_networks.check import faults, usable
from tests.random_networks.network import draw

AT_ONCE = 25
SECONDS_EACH = 60


def examine(seeds: Sequence[int], engines: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """The faults of each network; a process that dies is a fault of the network it was at."""
    left = list(seeds)
    while left:
        chunk, done = left[:AT_ONCE], 0
        for seed, told in _in_a_process(chunk, engines):
            yield seed, told
            done += 1
        left = left[done:]


def _in_a_process(seeds: Sequence[int], engines: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    command = [sys.executable, "-m", "tests.random_networks", "--of", *map(str, seeds)]
    for engine in engines:
        command += ["--engine", engine]
    limit = SECONDS_EACH * len(seeds)
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, timeout=limit, text=True)
        output, end = done.stdout, f"the process ended with {done.returncode}"
    except subprocess.TimeoutExpired as error:
        raw = error.stdout or b""
        output, end = raw.decode() if isinstance(raw, bytes) else raw, "it does not end"
    lines = [json.loads(line) for line in output.splitlines() if line.startswith("[")]
    yield from ((seed, told) for seed, told in lines)
    if len(lines) < len(seeds):
        yield seeds[len(lines)], [end]


def main() -> int:
    """1 if a network differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--engine", action="append", default=[])
    parser.add_argument("--of", type=int, nargs="+", help=argparse.SUPPRESS)
    given = parser.parse_args()
    names = given.engine or usable()
    if given.of:
        torch.set_num_threads(1)
        for seed in given.of:
            _say(json.dumps([seed, faults(draw(seed), names)]))
        return 0
    wrong = 0
    for seed, told in examine(range(given.seed, given.seed + given.count), names):
        if told:
            wrong += 1
            _say(f"seed {seed}\n{draw(seed).source}\n  " + "\n  ".join(told))
    _say(f"{wrong} of {given.count} networks differ from the reference on {', '.join(names)}")
    return int(wrong > 0)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
