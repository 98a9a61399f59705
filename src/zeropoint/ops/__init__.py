"""Operators, one file a family: float form, integer form, and how each is captured.

To add one, write its file with `OPS` and `CAPTURES`, and list it here.
"""

from collections.abc import Callable, Mapping

from zeropoint.graph.op import Op
from zeropoint.graph.value import Value
from zeropoint.ops import (
    add,
    batch_norm,
    clamp,
    concat,
    conv,
    dropout,
    identity,
    linear,
    opaque,
    pad,
    pool,
    quantize,
    shape,
)

FAMILIES = (
    conv,
    linear,
    batch_norm,
    clamp,
    add,
    concat,
    pool,
    pad,
    shape,
    dropout,
    identity,
    quantize,
    opaque,
)

CaptureRule = Callable[..., Value | str]
"""(builder, shape of the result, operands...) -> the result, or why it must be an island."""

OPS: Mapping[str, type[Op]] = {op.name: op for family in FAMILIES for op in family.OPS}
CAPTURES: Mapping[str, CaptureRule] = {
    target: rule for family in FAMILIES for target, rule in family.CAPTURES.items()
}
