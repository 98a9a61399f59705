"""Two files, or none."""

from pathlib import Path

from zeropoint.atomic import check_writable, write_text
from zeropoint.errors import FileError


def write_pair(first: Path, first_text: str, second: Path, second_text: str) -> None:
    """Both texts in their files. FileError, and both as they were, if one cannot be written."""
    check_writable(first, second)
    before = second.read_bytes() if second.exists() else None
    write_text(second, second_text)
    try:
        write_text(first, first_text)
    except FileError:
        if before is None:
            second.unlink()
        else:
            second.write_bytes(before)
        raise
