"""python -m tests.fuzz: thousands of altered files, each with its digest, in child processes.

    python -m tests.fuzz                                        5,000 programs, 1,000 statistics
    python -m tests.fuzz --programs 1 --statistics 0 --first 4711        one of them once more

Leaves with 1 if a file ends a process, holds it up, raises what is no error of zeropoint's, or runs
with an engine that computes something else than the reference.
"""

import argparse
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz import seeds
from tests.fuzz.mutations import mutated
from tests.fuzz.trials import Outcome, of_program, of_statistics
from tests.fuzz.workers import run_all
from zeropoint.observe import statistics
from zeropoint.program import file
from zeropoint.sealed import Kind

SECONDS = 60.0


@dataclass(frozen=True)
class Files:
    """Files of one kind, the originals, and what is done with an altered one."""

    title: str
    kind: Kind
    originals: Sequence[bytes]
    trial: Callable[[bytes], Outcome]

    def content(self, number: int) -> bytes:
        """The altered file of that number."""
        original = self.originals[number % len(self.originals)]
        return mutated(self.kind, original, self.originals, number)

    def run(self, number: int) -> Outcome:
        """Its trial."""
        return self.trial(self.content(number))


def main(arguments: Sequence[str]) -> int:
    options = parsed(arguments)
    warnings.simplefilter("ignore")
    failures = 0
    if options.programs:
        originals = seeds.programs(options.originals, options.first)
        programs = Files("programs", file.KIND, originals, of_program)
        failures += report(programs, options.first, options.programs, options.keep)
    if options.statistics:
        observed = Files("statistics", statistics.KIND, seeds.statistics(), of_statistics)
        failures += report(observed, options.first, options.statistics, options.keep)
    return int(failures > 0)


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--programs", type=int, default=5000)
    parser.add_argument("--statistics", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0, help="the number of the first")
    parser.add_argument("--originals", type=int, default=0, help="programs to alter; 0: all")
    parser.add_argument("--keep", type=Path, help="a folder for the files that fail")
    return parser.parse_args(arguments)


def report(files: Files, first: int, count: int, keep: Path | None) -> int:
    """Run so many trials, and tell how they ended; how many failed."""
    tally: Counter[Outcome] = Counter()
    failures = 0
    for number, found in run_all(files.run, range(first, first + count), SECONDS):
        if isinstance(found, Outcome):
            tally[found] += 1
            continue
        failures += 1
        say(f"{files.title} {number}: {found.what}")
        if keep is not None:
            keep.mkdir(exist_ok=True)
            path = keep / f"{files.title}-{number}.safetensors"
            path.write_bytes(files.content(number))
    for outcome in Outcome:
        say(f"{tally[outcome]:6} {files.title} {outcome.value}")
    say(f"{failures:6} {files.title} failed")
    return failures


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
