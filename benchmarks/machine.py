"""What the numbers were measured on. No name of a user or a host, no path."""

import datetime
import os
import platform
import re
import shlex
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

DISTRIBUTIONS = (
    "zeropoint",
    "torch",
    "torchao",
    "onnx",
    "onnxscript",
    "onnxruntime",
    "openvino",
    "nncf",
    "numpy",
)
STUDY = ("zeropoint", "torch", "numpy")
"""What a study runs on; the benchmark's peers do not count there."""

INT8_FLAGS = ("avx512_vnni", "avx_vnni", "amx_int8")


@dataclass(frozen=True)
class Machine:
    cpu: str
    cores: int
    threads: int
    memory_gib: int
    int8_instructions: list[str]
    system: str
    python: str
    versions: dict[str, str]
    command: str
    date: str


def this_machine(
    command: str, *, threads: int, distributions: tuple[str, ...] = DISTRIBUTIONS
) -> Machine:
    """The machine, the installed versions and the day, for a run on that many threads."""
    processors = read("/proc/cpuinfo")
    model = re.search(r"^model name\s*:\s*(.+)$", processors, re.MULTILINE)
    flags = set(processors.split())
    return Machine(
        cpu=model.group(1) if model else platform.machine(),
        cores=len(os.sched_getaffinity(0)),
        threads=threads,
        memory_gib=round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        int8_instructions=[flag for flag in INT8_FLAGS if flag in flags],
        system=platform.system(),
        python=platform.python_version(),
        versions={name: version(name) for name in distributions},
        command=command,
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
    )


def command_line(module: str) -> str:
    """The command as it was typed, folders left out of absolute paths."""
    arguments = [without_folders(argument) for argument in sys.argv[1:]]
    return shlex.join(["python", "-m", module, *arguments])


def without_folders(text: str) -> str:
    """The text with each absolute path in it cut down to its last part."""
    return re.sub(r"(?<![\w.])/(?:[^\s/'\"]+/)*([^\s/'\"]+)", r"\1", text)


def describe(machine: Machine) -> str:
    """The machine as a paragraph of Markdown."""
    vnni = ", ".join(machine.int8_instructions) or "none"
    versions = ", ".join(f"{name} {number}" for name, number in machine.versions.items())
    return (
        f"{machine.cpu}, {machine.cores} cores of which {machine.threads} used, "
        f"{machine.memory_gib} GiB; int8 dot-product instructions (VNNI): {vnni}.\n"
        f"{machine.system}, Python {machine.python}; {versions}.\n"
        f"{machine.date}, `{machine.command}`."
    )


def version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "not installed"


def read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError:  # not Linux
        return ""
