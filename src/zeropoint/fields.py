"""JSON that somebody else wrote, field by field: each is what its reader expects, or named."""

import sys
from collections.abc import Collection
from dataclasses import dataclass

from zeropoint.container import Json

MOST_LETTERS = 1 << 16
SHOWN = 40


@dataclass(frozen=True)
class Field:
    """A piece of JSON, and where it stands. What it should be and is not is a ValueError."""

    data: Json
    where: str = "the body"

    def __getitem__(self, key: str) -> "Field":
        if not isinstance(self.data, dict) or key not in self.data:
            raise ValueError(f"{self.where} has no {key!r}")
        return Field(self.data[key], key if self.where == "the body" else f"{self.where}.{key}")

    def get(self, key: str) -> "Field | None":
        """The field of that name; None if there is none."""
        return self[key] if isinstance(self.data, dict) and key in self.data else None

    def only(self, *keys: str) -> None:
        """ValueError for any other field."""
        for key in self.data if isinstance(self.data, dict) else ():
            if key not in keys:
                raise ValueError(f"{self.where} has {key!r}, which no such file has")

    def text(self) -> str:
        """A string."""
        if not isinstance(self.data, str) or len(self.data) > MOST_LETTERS:
            raise self.wrong("a text")
        return self.data

    def one_of(self, names: Collection[str]) -> str:
        """One of some strings."""
        if not isinstance(self.data, str) or self.data not in names:
            raise self.wrong("a name that is known here")
        return self.data

    def integer(self, low: int, high: int) -> int:
        """An integer within bounds, inclusive."""
        if type(self.data) is not int or not low <= self.data <= high:
            raise self.wrong(f"an integer from {low} to {high}")
        return self.data

    def number(self) -> float:
        """A finite number."""
        if type(self.data) not in (int, float) or not abs(self.data) <= sys.float_info.max:
            raise self.wrong("a finite number")
        return float(self.data)

    def flag(self) -> bool:
        """True or false."""
        if not isinstance(self.data, bool):
            raise self.wrong("true or false")
        return self.data

    def items(self) -> list["Field"]:
        """The items of a list."""
        if not isinstance(self.data, list):
            raise self.wrong("a list")
        return [Field(item, f"{self.where}[{i}]") for i, item in enumerate(self.data)]

    def entries(self) -> dict[str, "Field"]:
        """The items of an object, by their names."""
        if not isinstance(self.data, dict):
            raise self.wrong("an object")
        return {name: Field(item, f"{self.where}.{name}") for name, item in self.data.items()}

    def texts(self) -> tuple[str, ...]:
        """A list of strings."""
        return tuple(item.text() for item in self.items())

    def extents(self, most: int) -> tuple[int, ...]:
        """A list of sizes."""
        return tuple(item.integer(0, most) for item in self.items())

    def shape(self, most: int) -> tuple[int | str, ...]:
        """A list of sizes, and of expressions of them."""
        return tuple(
            item.text() if isinstance(item.data, str) else item.integer(0, most)
            for item in self.items()
        )

    def wrong(self, expected: str) -> ValueError:
        """What to raise where something else was expected."""
        shown = repr(self.data)
        short = shown if len(shown) <= SHOWN else f"{shown[:SHOWN]}..."
        return ValueError(f"{self.where} is {short}, and not {expected}")
