"""Exported files as executors: what another program would make of them, for `verify`."""

import os
from collections.abc import Callable
from pathlib import Path

from zeropoint.errors import EngineError, FileError
from zeropoint.execute.executor import Executor
from zeropoint.program.program import Program

OPENERS: dict[str, Callable[[Program, Path], Executor]] = {}


def open_file(program: Program, path: str | os.PathLike[str]) -> Executor:
    """What runs an exported file; `program` says how its inputs and outputs are to be read.

    FileError if there is no such file; EngineError if nothing here can run it.
    """
    file = Path(path)
    if not file.is_file():
        raise FileError(f"{file} does not exist, or is no file")
    if file.suffix not in OPENERS:
        known = ", ".join(OPENERS)
        raise EngineError(f"{file} cannot be run for verification; files that can: {known}")
    return OPENERS[file.suffix](program, file)
