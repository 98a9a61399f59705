"""What one node becomes: calls of functions in `operators/`, each with a constant struct."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Array:
    """A constant array of its own; `name` comes after that of its step."""

    name: str
    type: str
    elements: tuple["Field", ...]


Field = int | Array | tuple["Field", ...]
"""A member of a struct; a tuple is a struct or an array inside it."""


@dataclass(frozen=True)
class Call:
    """`function(&(struct){fields}, reads..., writes + offset)`."""

    function: str
    struct: str
    fields: Mapping[str, Field]
    reads: tuple[str, ...]
    writes: str
    offset: int = 0


@dataclass(frozen=True)
class Step:
    """The calls that write one value.

    `overwrites` names the operands whose memory the result may take: each of their elements is read
    before the result's element at its place is written, and never again.
    """

    layer: str
    operator: str
    writes: str
    calls: tuple[Call, ...]
    overwrites: tuple[str, ...] = ()

    @property
    def reads(self) -> frozenset[str]:
        """Every value that the calls read."""
        return frozenset(name for call in self.calls for name in call.reads)


@dataclass(frozen=True)
class Alias:
    """A value whose integers are those of another one, in the same order."""

    of: str
