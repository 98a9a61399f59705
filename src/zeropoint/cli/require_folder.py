"""A result that could not be written is refused before the work, not after it."""

from pathlib import Path

from zeropoint.errors import FileError


def require_folder_of(out: Path) -> None:
    """FileError now rather than after minutes of calibration."""
    if not out.parent.is_dir():
        raise FileError(f"cannot write {out}: {out.parent} is no folder")
    if out.is_dir():
        raise FileError(f"cannot write {out}: it is a folder")
