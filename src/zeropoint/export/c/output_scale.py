"""Scales of logits as integers, so that they can be compared without a float.

    r = q m 2^-bits        m the scale's int32 mantissa, `bits` the same for all channels

Each channel of an accumulator has its own scale: the greatest q need not be the greatest logit.
"""

import math
from dataclasses import dataclass

from zeropoint.export.c.routine import Port, Routine

MANTISSA_BITS = 31


@dataclass(frozen=True)
class OutputScale:
    """`name[c] = round(scale[c] 2^bits)`: exact where the scales lie within a factor of 2^7."""

    name: str
    port: Port
    mantissas: tuple[int, ...]
    bits: int


def output_scales(routine: Routine, prefix: str) -> list[OutputScale]:
    """One for each output that has a scale for each channel."""
    return [
        _of(port, f"{prefix}_{port.name}_scale")
        for port in routine.outputs
        if port.params.axis is not None
    ]


def _of(port: Port, name: str) -> OutputScale:
    scales = [float(scale) for scale in port.params.scale.tolist()]
    _, exponent = math.frexp(max(scales))
    bits = MANTISSA_BITS - exponent
    return OutputScale(name, port, tuple(round(math.ldexp(s, bits)) for s in scales), bits)
