"""What a format is: a suffix, what it cannot carry, and how it is written."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from zeropoint.program.program import Program


class Write(Protocol):
    """Writes the program's file, or files, atomically."""

    def __call__(self, program: Program, path: str | os.PathLike[str], **options: Any) -> None: ...


@dataclass(frozen=True)
class Format:
    """`refusal` names the layer and what of it the format cannot carry; None if all is well.

    It takes the same options as `write`: `options` are their names.
    """

    name: str
    suffix: str
    refusal: Callable[..., str | None]  # (program, **options)
    write: Write
    options: tuple[str, ...] = ()
