"""How much memory this process and its children take (Linux; zero elsewhere)."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

KIBIBYTES_EACH = 1024


def forget_peak() -> None:
    """Lets the peak begin anew at what is taken now."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def peak_mebibytes() -> int:
    """The most that this process has had in memory since `forget_peak`."""
    return status("self", "VmHWM") // KIBIBYTES_EACH


def resident_mebibytes(process: int) -> int:
    """What a process and all that it has started have in memory; pages that they share twice."""
    return sum(status(str(each), "VmRSS") for each in family(process)) // KIBIBYTES_EACH


def family(process: int) -> Iterator[int]:
    """The process and its children, theirs, and so on."""
    yield process
    for file in Path(f"/proc/{process}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in file.read_text(encoding="ascii").split():
                yield from family(int(child))


def status(process: str, field: str) -> int:
    """A field of /proc/PID/status, in KiB; zero for a process that is gone."""
    try:
        text = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    except OSError:
        return 0
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0])
    return 0
