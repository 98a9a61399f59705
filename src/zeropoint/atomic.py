"""Files that are written whole or not at all."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from zeropoint.errors import FileError


def write(path: str | os.PathLike[str], save: Callable[[str], None]) -> None:
    """Let `save` write a temporary file beside `path`, then rename it over the old one.

    FileError, with nothing left behind, if it cannot be written.
    """
    target = Path(path)
    temporary = ""
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        os.close(handle)
        save(temporary)
        os.chmod(temporary, 0o644)
        os.replace(temporary, target)
    except OSError as error:
        raise FileError(f"{target} cannot be written: {error.strerror or error}") from error
    finally:
        if temporary:
            Path(temporary).unlink(missing_ok=True)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """The text in a file, as UTF-8."""
    write(path, lambda temporary: _write_text(temporary, text))


def check_writable(*paths: str | os.PathLike[str]) -> None:
    """FileError now, rather than after minutes of work, for files that could not be written."""
    for path in map(Path, paths):
        if path.is_dir():
            raise FileError(f"{path} cannot be written: it is a folder")
        try:
            with tempfile.TemporaryFile(dir=path.parent):
                pass
        except OSError as error:
            raise FileError(f"{path} cannot be written: {error.strerror or error}") from error


def _write_text(path: str, text: str) -> None:
    Path(path).write_text(text, encoding="utf-8")
