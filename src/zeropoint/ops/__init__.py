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
    conv_transpose,
    dropout,
    expand,
    extremes,
    glu,
    identity,
    linear,
    matmul,
    mul,
    only_float,
    opaque,
    order,
    pad,
    permute,
    pool,
    prelu,
    quantize,
    reduce,
    shape,
    shuffle,
    slice,
    table,
    upsample,
)

FAMILIES = (
    conv,
    conv_transpose,
    linear,
    matmul,
    batch_norm,
    clamp,
    table,
    add,
    mul,
    extremes,
    prelu,
    glu,
    concat,
    pool,
    reduce,
    upsample,
    pad,
    shape,
    permute,
    slice,
    order,
    expand,
    shuffle,
    dropout,
    identity,
    quantize,
    only_float,
    opaque,
)

CaptureRule = Callable[..., Value | list[Value] | str]
"""(builder, shape of the result, operands...) -> the result, or why it must be an island.

For an operator of torch with a list of results: (builder, their shapes, operands...) -> a list.
"""

OPS: Mapping[str, type[Op]] = {op.name: op for family in FAMILIES for op in family.OPS}
CAPTURES: Mapping[str, CaptureRule] = {
    target: rule for family in FAMILIES for target, rule in family.CAPTURES.items()
}

ANY_TYPE = frozenset(
    {
        *identity.CAPTURES,
        *dropout.CAPTURES,
        *only_float.CAPTURES,
        "aten.sym_size.int",
        "aten.sym_numel.default",
    }
)
"""What is captured whatever its operands hold. Every other rule is about float32 in and out, and is
not asked about anything else: integers, flags and other floating point stay with torch."""
