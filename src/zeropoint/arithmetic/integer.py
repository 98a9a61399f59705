"""Integer types: how many bits, with or without a sign, and the torch dtype that stores them."""

import re
from dataclasses import dataclass

import torch

STORAGE = {
    (8, False): torch.uint8,
    (8, True): torch.int8,
    (16, True): torch.int16,
    (32, True): torch.int32,
}


@dataclass(frozen=True)
class IntegerType:
    """An integer type of 2 to 32 bits.

    >>> IntegerType(4, signed=False).high
    15
    >>> IntegerType.parse("i8")
    IntegerType(bits=8, signed=True)
    """

    bits: int
    signed: bool

    def __post_init__(self) -> None:
        if not 2 <= self.bits <= 32:
            raise ValueError(f"an integer type has 2 to 32 bits, not {self.bits}")

    @property
    def low(self) -> int:
        """The smallest value, inclusive."""
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def high(self) -> int:
        """The largest value, inclusive."""
        return (1 << (self.bits - 1)) - 1 if self.signed else (1 << self.bits) - 1

    @property
    def storage(self) -> torch.dtype:
        """The smallest torch dtype that holds every value."""
        for (bits, signed), dtype in STORAGE.items():
            if bits >= self.bits and signed == self.signed:
                return dtype
        raise ValueError(f"torch stores no {self}")

    def __str__(self) -> str:
        return f"{'i' if self.signed else 'u'}{self.bits}"

    @classmethod
    def parse(cls, text: str) -> "IntegerType":
        """The type that prints as `text`; ValueError for any other text."""
        match = re.fullmatch(r"([iu])(\d+)", text)
        if match is None:
            raise ValueError(f"{text!r} is no integer type; expected u8, i8, i32 and the like")
        return cls(int(match[2]), signed=match[1] == "i")


UINT8 = IntegerType(8, signed=False)
INT8 = IntegerType(8, signed=True)
INT32 = IntegerType(32, signed=True)
