"""Two files, or none."""

from pathlib import Path

from zeropoint.atomic import bytes_saver, write_together


def write_pair(first: Path, first_text: str, second: Path, second_text: str) -> None:
    """Both texts in their files. FileError, and both as they were, if one cannot be written."""
    pair = ((second, second_text), (first, first_text))
    write_together([(path, bytes_saver(text.encode())) for path, text in pair])
