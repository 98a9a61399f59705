"""What flows along the edges of a graph.

    f32[N,64,56,56]               real numbers; N is known only at run time
    u8[N,64,56,56]<0.0236:0>      integers, with the scale and zero point that give them meaning
    i8[64,3,7,7]<axis=0>          the same with one scale for each channel
    size                          a Python int, such as a batch size

This is how types are printed and parsed, too.
"""

from dataclasses import dataclass, replace

import torch

from zeropoint.arithmetic.qparams import QParams

FLOAT_NAMES = {
    torch.float32: "f32",
    torch.float64: "f64",
    torch.float16: "f16",
    torch.bfloat16: "bf16",
    torch.complex64: "c64",
    torch.complex128: "c128",
    torch.int64: "int64",
    torch.int32: "int32",
    torch.int16: "int16",
    torch.uint8: "uint8",
    torch.int8: "int8",
    torch.bool: "bool",
}


@dataclass(frozen=True)
class Plain:
    """A tensor whose elements mean what they say: real numbers, or an island's indices."""

    dtype: torch.dtype = torch.float32


@dataclass(frozen=True)
class Quantized:
    """A tensor of integers on the grid `params`."""

    params: QParams


@dataclass(frozen=True)
class Size:
    """A Python int."""


ValueType = Plain | Quantized | Size

Shape = tuple[int | str, ...]
"""One entry a dimension: a number, or an expression such as "N" or "H // 2" that only the run
knows.

Equal expressions are equal sizes; UNKNOWN equals nothing. The shape of a Size is its own
expression."""

UNKNOWN = "?"


@dataclass(frozen=True)
class Value:
    """An edge of the graph: a name that is assigned once, a type and a shape."""

    name: str
    type: ValueType
    shape: Shape

    @property
    def params(self) -> QParams | None:
        """The quantization parameters; None for a value that is not quantized."""
        return self.type.params if isinstance(self.type, Quantized) else None

    def to(self, device: torch.device) -> "Value":
        """The same, with its grid on another device."""
        params = self.params
        if params is None:
            return self
        scale, zero_point = params.scale.to(device), params.zero_point.to(device)
        return replace(self, type=Quantized(replace(params, scale=scale, zero_point=zero_point)))
