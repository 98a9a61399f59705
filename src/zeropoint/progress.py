"""How long work reports that it goes on."""

from collections.abc import Callable

Progress = Callable[[str, int, int | None], None]
"""Called with a stage, how much of it is done, and how much there is (None if nobody knows)."""


def silent(stage: str, done: int, total: int | None) -> None:
    """Says nothing."""
