"""What other programs took from the machine while we measured.

It matters more than one would think. With a single busy neighbour on two cores, an OpenMP barrier
of torch waits for a whole time slice of the scheduler whenever both of its threads sit on one
core: small networks became a hundred times slower there, while OpenVINO and ONNX Runtime, which
share out work without barriers, lost little. No ratio means anything then.
"""

import os
import time
from pathlib import Path
from types import TracebackType
from typing import Self

QUIET_CORES = 0.1


class OtherLoad:
    """A `with` block; afterwards `cores` is the mean number of cores that others kept busy.

    Zero where /proc/stat does not exist. Child processes of ours count as others.
    """

    cores: float = 0.0

    def __enter__(self) -> Self:
        self.start = (time.perf_counter(), busy_seconds(), time.process_time())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        wall, busy, own = self.start
        others = (busy_seconds() - busy) - (time.process_time() - own)
        self.cores = max(0.0, others / (time.perf_counter() - wall))


def busy_seconds() -> float:
    """Seconds that all cores together have been busy since the machine started."""
    try:
        line = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0]
    except OSError:
        return 0.0
    # cpu user nice system idle iowait irq softirq steal; a guest's time is within user.
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, line.split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
