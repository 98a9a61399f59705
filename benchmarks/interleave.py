"""Timing of several callables in one run, so that a busy machine is busy for all of them.

    round 1   A A(A A A)   B B(B B B)   C C(C C C)
    round 2   B B(B B B)   C C(C C C)   A A(A A A)        (...) is timed

Each round gives every contestant one burst of calls. The first calls of a burst are thrown away:
the contestant before has left its own weights in the caches and its own threads awake. Compare
two contestants by the median of their ratios within each round: a slow minute hits both.
"""

import gc
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from statistics import median

WARM_UP_CALLS = 4
# Idle OpenMP (libgomp) and TBB workers spin for a few milliseconds before they sleep.
SECONDS_BETWEEN_BURSTS = 0.015
LEAD_SECONDS, MOST_LEAD_CALLS = 0.02, 20
TIMED_SECONDS, FEWEST_TIMED_CALLS, MOST_TIMED_CALLS = 0.08, 2, 50


@dataclass(frozen=True)
class Contestant:
    """A name and a call without arguments whose time is wanted."""

    name: str
    call: Callable[[], object]


@dataclass(frozen=True)
class Burst:
    """How many calls a contestant makes in its turn: thrown away, then timed."""

    lead: int
    timed: int


def interleave(
    contestants: list[Contestant], rounds: Iterable[int]
) -> dict[str, list[list[float]]]:
    """Seconds of every timed call: name -> one list for each round.

    `rounds` counts from 0; pass a progress bar over a `range` to see it advance.
    """
    bursts = [warm_up(contestant.call) for contestant in contestants]
    seconds: dict[str, list[list[float]]] = {contestant.name: [] for contestant in contestants}
    places = list(range(len(contestants)))
    gc.collect()
    gc.disable()  # a collection in the middle of a call would be charged to that call
    try:
        for number in rounds:
            first = number % max(1, len(places))
            for place in places[first:] + places[:first]:
                contestant = contestants[place]
                time.sleep(SECONDS_BETWEEN_BURSTS)
                seconds[contestant.name].append(time_burst(contestant.call, bursts[place]))
    finally:
        gc.enable()
    return seconds


def warm_up(call: Callable[[], object]) -> Burst:
    """The burst that fits a call of this duration, after calls enough to have allocated."""
    duration = min(time_burst(call, Burst(lead=1, timed=WARM_UP_CALLS)))
    timed = math.ceil(TIMED_SECONDS / duration)
    return Burst(
        lead=min(math.ceil(LEAD_SECONDS / duration), MOST_LEAD_CALLS),
        timed=max(FEWEST_TIMED_CALLS, min(timed, MOST_TIMED_CALLS)),
    )


def time_burst(call: Callable[[], object], burst: Burst) -> list[float]:
    """Seconds of each timed call."""
    for _ in range(burst.lead):
        call()
    seconds = []
    for _ in range(burst.timed):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return seconds


def median_seconds(rounds: list[list[float]]) -> float:
    """The median over all timed calls of a contestant."""
    return median(call for calls in rounds for call in calls)


def speed(rounds: list[list[float]], against: list[list[float]]) -> float:
    """How many times as fast as the other: the median over rounds of the ratio of medians."""
    return median(
        median(theirs) / median(ours) for ours, theirs in zip(rounds, against, strict=True)
    )
