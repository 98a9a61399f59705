"""Files that are written whole or not at all.

    temporary file beside the target --> written --> on the disk --> renamed over the old one

A file takes the permissions of the one that it replaces, or those that the umask leaves. A symbolic
link stays, and what it points to is replaced. A temporary file carries a lock for as long as its
process lives: what a killed process has left is removed by the next one that writes to the folder.
"""

import contextlib
import os
import secrets
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from zeropoint.errors import FileError

if sys.platform != "win32":
    import fcntl

Pathlike = str | os.PathLike[str]
Save = Callable[[str], object]
"""Writes the file of that name, which exists and is empty. What cannot be written is an OSError."""

PREFIX, SUFFIX = ".zeropoint-", ".tmp"


def write(path: Pathlike, save: Save) -> None:
    """Let `save` write a temporary file beside `path`, then rename it over the old one.

    FileError, with nothing left behind, if it cannot be written.
    """
    write_together([(path, save)])


def write_together(files: Sequence[tuple[Pathlike, Save]]) -> None:
    """Write files that belong together: all are on the disk before the first is renamed.

    They are renamed in their order. FileError, with every old file in its place and nothing left
    behind, if one of them cannot be written.
    """
    several = len(files) > 1
    with ExitStack() as stack:
        written = [stack.enter_context(_written(path, save, several)) for path, save in files]
        _rename(written)


def write_text(path: Pathlike, text: str) -> None:
    """The text in a file, as UTF-8."""
    write_bytes(path, text.encode())


def write_bytes(path: Pathlike, content: bytes) -> None:
    """The bytes in a file."""
    write(path, bytes_saver(content))


def bytes_saver(content: bytes) -> Save:
    """What `write` and `write_together` take for a file with that content."""
    return lambda temporary: Path(temporary).write_bytes(content)


def check_writable(*paths: Pathlike) -> None:
    """FileError now, rather than after minutes of work, for files that could not be written."""
    for path in paths:
        with _told(path), tempfile.TemporaryFile(dir=_target(path).parent):
            pass


# --- one file ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Written:
    """A temporary file that is on the disk, what it is to become, and the path that the user gave.

    `before` is a copy of the file that it replaces; "" if there is none, or none is needed.
    """

    path: Pathlike
    target: Path
    temporary: str
    before: str


@contextmanager
def _told(path: Pathlike) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:  # ValueError: a null byte in a name
        reason = getattr(error, "strerror", None) or error
        raise FileError(f"{path} cannot be written: {reason}") from error


def _target(path: Pathlike) -> Path:
    """The file itself, behind symbolic links; OSError if there is something else in its place."""
    target = Path(os.path.realpath(path))
    try:
        mode = target.stat().st_mode
    except FileNotFoundError:
        return target
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(0, "it is a folder")
    if not stat.S_ISREG(mode):
        raise OSError(0, "it is no ordinary file")
    if not os.access(target, os.W_OK):
        raise PermissionError(0, "it is write-protected")
    return target


@contextmanager
def _written(path: Pathlike, save: Save, keep: bool) -> Iterator[_Written]:
    with _told(path), ExitStack() as stack:
        target = _target(path)
        _sweep(target.parent)
        temporary = stack.enter_context(_temporary(target.parent))
        save(temporary)
        replaces = target.exists()
        before = stack.enter_context(_kept(target)) if keep and replaces else ""
        _finish(temporary, target if replaces else None)
        yield _Written(path, target, temporary, before)


@contextmanager
def _temporary(folder: Path) -> Iterator[str]:
    """An empty file with a lock on it; it is gone afterwards unless it has another name by then."""
    handle, name = _create(folder)
    try:
        yield name
    finally:
        Path(name).unlink(missing_ok=True)
        os.close(handle)


def _create(folder: Path) -> tuple[int, str]:
    while True:
        name = str(folder / f"{PREFIX}{secrets.token_hex(8)}{SUFFIX}")
        handle = os.open(name, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666)  # less the umask's bits
        _lock(handle)
        if os.fstat(handle).st_nlink:  # else another process took it for one that was left
            return handle, name
        os.close(handle)


@contextmanager
def _kept(target: Path) -> Iterator[str]:
    """A copy of a file, so that it can come back."""
    with _temporary(target.parent) as name:
        shutil.copy2(target, name)
        yield name


def _finish(temporary: str, replaced: Path | None) -> None:
    """Permissions of the file that it replaces, and everything on the disk."""
    handle = os.open(temporary, os.O_RDWR)
    try:
        if replaced is not None:
            found = replaced.stat()
            with contextlib.suppress(OSError, AttributeError):  # another user's file stays theirs
                os.fchown(handle, found.st_uid, found.st_gid)
            os.chmod(temporary, stat.S_IMODE(found.st_mode))
        os.fsync(handle)
    finally:
        os.close(handle)


# --- all of them ---------------------------------------------------------------------------------


def _rename(written: Sequence[_Written]) -> None:
    done: list[_Written] = []
    try:
        for each in written:
            with _told(each.path):
                os.replace(each.temporary, each.target)
            done.append(each)
    except FileError:
        for each in reversed(done):
            _undo(each)
        raise
    for folder in {each.target.parent for each in written}:
        _sync(folder)


def _undo(each: _Written) -> None:
    if each.before:
        os.replace(each.before, each.target)
    else:
        each.target.unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    """The new names on the disk, where a file system can be asked for that."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


# --- what killed processes left ------------------------------------------------------------------


def _lock(handle: int) -> None:
    if sys.platform != "win32":
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _sweep(folder: Path) -> None:
    """Remove temporary files that no living process holds."""
    if sys.platform == "win32":
        return
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(PREFIX) and entry.name.endswith(SUFFIX):
                _remove_if_left(entry.path)


def _remove_if_left(path: str) -> None:
    with contextlib.suppress(OSError):
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
        try:
            if stat.S_ISREG(os.fstat(handle).st_mode):
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.unlink(path)
        finally:
            os.close(handle)
