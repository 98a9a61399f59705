"""What is computed element by element, of one tensor or of two."""

import math
from collections.abc import Callable, Mapping

import torch

from zeropoint.export.c.at import At
from zeropoint.export.c.codes import codes
from zeropoint.export.c.extents import broadcast_strides
from zeropoint.export.c.fields import ONE, one, stored
from zeropoint.export.c.step import Alias, Call, Field, Step
from zeropoint.ops.accumulate import real_bounds
from zeropoint.ops.add import Add
from zeropoint.ops.clamp import Clamp
from zeropoint.ops.extremes import Maximum, Minimum
from zeropoint.ops.mul import Mul
from zeropoint.ops.table import Table

INT32_HIGH = 2**31 - 1


def _add(at: At) -> Step:
    (requantization,) = at.requantizations
    fields: dict[str, Field] = {
        "b_sign": -1 if at.op.alpha < 0 else 1,
        "a_multiplier": one(requantization.multipliers[0]),
        "b_multiplier": one(requantization.multipliers[1]),
        "grid": at.codes().grid,
    }
    return _of_two(at, "add", "addition", fields)


def _mul(at: At) -> Step:
    (requantization,) = at.requantizations
    fields: dict[str, Field] = {
        "multiplier": one(requantization.multipliers[0]),
        "grid": at.codes().grid,
    }
    return _of_two(at, "mul", "multiplication", fields)


def _extreme(at: At) -> Step:
    asked = iter(at.requantizations)
    a, b = (
        ONE if at.params(name) == at.params(at.output) else one(next(asked).multipliers[0])
        for name in at.inputs
    )
    fields: dict[str, Field] = {
        "a_multiplier": a,
        "b_multiplier": b,
        "grid": codes(at.params(at.output)).grid,
        "greatest": int(isinstance(at.op, Maximum)),
    }
    return _of_two(at, "extreme", "extremes", fields)


def _of_two(at: At, function: str, struct: str, fields: dict[str, Field]) -> Step:
    """An operation on two tensors whose shapes broadcast."""
    extents, (a, b) = broadcast_strides(at.shape(0), at.shape(1))
    fields |= {"extent": extents, "a_stride": a, "b_stride": b}
    fields |= {"a_zero": at.zero(0), "b_zero": at.zero(1)}
    whole = [name for i, name in enumerate(at.inputs) if at.shape(i) == at.out_shape]
    call = Call(function, struct, fields, at.inputs, at.output)
    return at.step(call, overwrites=tuple(whole))


def _lookup(at: At) -> Step:
    x, y = at.params(at.inputs[0]), at.params(at.output)
    unused = torch.zeros(x.type.low + codes(x).offset, dtype=y.type.storage)
    entries = torch.cat([unused, at.op.entries(x, y)])
    fields: dict[str, Field] = {
        "size": math.prod(at.out_shape),
        "table": stored("table", entries, y),
    }
    call = Call("lookup", "entries", fields, at.inputs, at.output)
    return at.step(call, overwrites=at.inputs)


def _clamp(at: At) -> Step:
    params = at.program.graph.values[at.output].params
    if params is None:  # a ReLU on accumulators that have left as real numbers
        low, high, function = 0, INT32_HIGH, "clamp_wide"
    else:
        offset = codes(params).offset
        low, high = (bound + offset for bound in real_bounds(at.op.low, at.op.high, params))
        function = "clamp"
    fields: dict[str, Field] = {"size": math.prod(at.out_shape), "low": low, "high": high}
    return at.step(Call(function, "bounds", fields, at.inputs, at.output), overwrites=at.inputs)


ELEMENTWISE: Mapping[type, Callable[[At], Step | Alias]] = {
    Add: _add,
    Mul: _mul,
    Maximum: _extreme,
    Minimum: _extreme,
    Table: _lookup,
    Clamp: _clamp,
}
