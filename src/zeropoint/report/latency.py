"""How long calls take, side by side: rounds of one call each, so that noise hits all alike."""

import statistics
import time
from collections.abc import Callable, Mapping

ROUNDS = 20
WARM_UP = 3


def interleaved(
    calls: Mapping[str, Callable[[], object]], rounds: int = ROUNDS
) -> dict[str, float]:
    """The median milliseconds of each call, measured in turns after a warm-up."""
    for call in calls.values():
        for _ in range(WARM_UP):
            call()
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            call()  # the one before has filled the caches with its own weights
            begin = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - begin)
    return {name: 1e3 * statistics.median(times) for name, times in seconds.items()}
