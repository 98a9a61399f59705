"""What the options of operators may be: the types that their fields declare, and bounds by name.

Windows, sizes and counts are positive and far below what a network could need, so that no product
of a few of them leaves 64 bits; what fits together is for `program/shapes.py` to find. A field of a
new operator is listed here: a test fails until it is.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import fields
from functools import cache
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from zeropoint.errors import GraphError
from zeropoint.graph.op import Op
from zeropoint.ops.opaque import Opaque
from zeropoint.ops.pad import MODES
from zeropoint.ops.shape import ARITHMETIC
from zeropoint.ops.slice import END

WINDOW = 1 << 16
EXTENT = 1 << 31
RANK = 16
FACTOR = 1 << 10
MOST_ENTRIES = 1 << 20
"""Of a list; one of indices may be long."""

INFINITE = math.inf

BOUNDS: Mapping[str, tuple[float, float]] = {
    "stride": (1, WINDOW),
    "padding": (0, WINDOW),
    "dilation": (1, WINDOW),
    "kernel": (1, WINDOW),
    "output_padding": (0, WINDOW),
    "groups": (1, EXTENT),
    "low": (-INFINITE, INFINITE),
    "high": (-INFINITE, INFINITE),
    "eps": (0.0, 1e6),
    "alpha": (-1e6, 1e6),
    "axis": (-RANK, RANK),
    "axes": (-RANK, RANK),
    "order": (-RANK, RANK),
    "size": (1, EXTENT),
    "factors": (1 / FACTOR, FACTOR),
    "factor": (1, FACTOR),
    "amounts": (-EXTENT, EXTENT),
    "value": (-INFINITE, INFINITE),
    "start": (-END, END),
    "end": (-RANK, RANK),
    "stop": (-END, END),
    "step": (1, END),
    "shape": (-2, EXTENT),
    "times": (1, EXTENT),
    "indices": (0, EXTENT),
    "shifts": (-EXTENT, EXTENT),
    "numbers": (-(2**53), 2**53),
    "p": (0.0, 1.0),
}
"""Inclusive, by the name of the field; nothing is NaN."""

CHOICES: Mapping[str, Collection[str]] = {"mode": MODES, "function": ARITHMETIC.keys()}
"""Of fields that are a word."""

FREE = ("function", "steps")
"""Of functions, which functions.py checks."""


def check_options(op: Op) -> None:
    """GraphError unless every field of the operator is what its class declares, within bounds."""
    for name, kind in _kinds(type(op)).items():
        value = getattr(op, name)
        if not _fits(kind, value):
            raise GraphError(f"{op.name} has {name}={_shown(value)}, which is no {_title(kind)}")
        if not _within(name, value):
            raise GraphError(f"{op.name} has {name}={_shown(value)}, which is out of bounds")
    if isinstance(op, Opaque):
        op.check()


@cache
def _kinds(op: type[Op]) -> Mapping[str, Any]:  # types as typing spells them
    hints = get_type_hints(op)
    return {field.name: hints[field.name] for field in fields(op)}  # type: ignore[arg-type]  # every operator is a dataclass


def _fits(kind: Any, value: object) -> bool:
    if kind is Any:
        return True
    if get_origin(kind) in (Union, UnionType):
        return any(_fits(part, value) for part in get_args(kind))
    if get_origin(kind) is tuple:
        return _is_tuple(get_args(kind), value)
    if kind is float:
        return type(value) in (int, float)
    return type(value) is kind


def _is_tuple(kinds: tuple[Any, ...], value: object) -> bool:
    if type(value) is not tuple or len(value) > MOST_ENTRIES:
        return False
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        return all(_fits(kinds[0], item) for item in value)
    return len(kinds) == len(value) and all(map(_fits, kinds, value))


def _within(name: str, value: object) -> bool:
    if isinstance(value, tuple):
        return name in FREE or name not in BOUNDS or all(_within(name, item) for item in value)
    if isinstance(value, str):
        return name not in CHOICES or value in CHOICES[name]
    if isinstance(value, bool | NoneType) or name not in BOUNDS:
        return True
    low, high = BOUNDS[name]
    return isinstance(value, int | float) and low <= value <= high


def _title(kind: Any) -> str:
    return kind.__name__ if isinstance(kind, type) else str(kind).replace("typing.", "")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
