"""Pieces of C text: names, comments, numbers, and lines of at most 100 columns."""

import re
from collections.abc import Iterable

import numpy as np

WIDTH = 100
INT32_LOW = -(2**31)


def identifier(name: str) -> str:
    """The name with all that C does not allow in names made an underscore.

    >>> identifier("layer1.0.conv1")
    'layer1_0_conv1'
    """
    return re.sub(r"[^0-9A-Za-z]+", "_", name).strip("_")


def prefix_of(stem: str) -> str:
    """What all names of a file begin with, after the file's own name.

    >>> prefix_of("LeNet-5"), prefix_of("3d")
    ('LeNet_5', 'net_3d')
    """
    name = identifier(stem)
    return name if name[:1].isalpha() else f"net_{name}".strip("_")


def inside_comment(text: str) -> str:
    """The text with nothing in it that would end a comment or begin another."""
    plain = "".join(letter if letter.isprintable() and letter.isascii() else "?" for letter in text)
    return re.sub(r"[\\]|\?(?=\?)|\*(?=/)|/(?=\*)", lambda found: f"{found[0]} ", plain)


def integer(number: int) -> str:
    """A literal of int32_t; C has none for the lowest."""
    return "INT32_MIN" if number == INT32_LOW else str(number)


def decimal(scale: float) -> str:
    """A float32 number in as few digits as say which one it is.

    >>> decimal(0.1), decimal(1.0), decimal(1e-10)
    ('0.1', '1.0', '1e-10')
    """
    return str(np.float32(scale))


def filled(tokens: Iterable[str], indent: str) -> str:
    """The tokens with commas between them, in lines with room for what closes the last one."""
    lines, line = [], indent
    for token in tokens:
        if len(line) + len(token) + 2 > WIDTH and line != indent:
            lines.append(line.rstrip())
            line = indent
        line += f"{token}, "
    return "\n".join([*lines, line.rstrip().removesuffix(",")])


def product(shape: Iterable[int]) -> str:
    """A shape as it is read: 3 x 32 x 32."""
    return " x ".join(map(str, shape))
