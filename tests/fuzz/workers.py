"""Trials in child processes: what kills one, or holds it up, fails its trial and no other."""

import resource
import signal
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection

import torch

from tests.fuzz.trials import Outcome

Trial = Callable[[int], Outcome]

ROOM = 4 << 30
"""Bytes that a trial may allocate."""


@dataclass(frozen=True)
class Failure:
    """A trial by its number, and what happened."""

    number: int
    what: str


class Worker:
    """A child process that does one trial after the other."""

    def __init__(self, trial: Trial) -> None:
        context = get_context("fork")
        self._ours, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(trial, theirs), daemon=True)
        self._process.start()
        theirs.close()

    def run(self, number: int, seconds: float) -> Outcome | Failure:
        """The outcome of one trial; after a signal or a hang the worker is of no use any more."""
        self._ours.send(number)
        try:
            if not self._ours.poll(seconds):
                self.end()
                return Failure(number, f"still running after {seconds:.0f} s")
            found: Outcome | str = self._ours.recv()
        except (EOFError, ConnectionResetError):
            self._process.join()
            return Failure(number, f"ended by {_name(self._process.exitcode)}")
        return found if isinstance(found, Outcome) else Failure(number, found)

    @property
    def alive(self) -> bool:
        """True until a trial has ended it."""
        return self._process.is_alive()

    def end(self) -> None:
        """Kill it."""
        self._process.kill()
        self._process.join()


def run_all(
    trial: Trial, numbers: Sequence[int], seconds: float
) -> Iterator[tuple[int, Outcome | Failure]]:
    """Every trial's outcome, in order; a worker that was lost is replaced."""
    worker = Worker(trial)
    for number in numbers:
        if not worker.alive:
            worker = Worker(trial)
        yield number, worker.run(number, seconds)
    worker.end()


def _name(code: int | None) -> str:
    return signal.Signals(-code).name if code is not None and code < 0 else f"exit code {code}"


def _work(trial: Trial, connection: Connection) -> None:
    torch.set_num_threads(1)
    _limit_memory()
    while True:
        number = connection.recv()
        try:
            connection.send(trial(number))
        except BaseException:
            connection.send(traceback.format_exc(limit=-6))


def _limit_memory() -> None:
    with open("/proc/self/statm") as file:
        pages = int(file.read().split()[0])
    limit = pages * resource.getpagesize() + ROOM
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
