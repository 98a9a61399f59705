"""A program on its way into a sheet: which ONNX tensor holds each of its values, and in which form.

A value has its own name in ONNX, in the form that it has in the program: integers as integers, real
numbers as real numbers. Real forms of integers are made once, when something asks for them.

Accumulators are the exception: they are real from the start, s_x s_w acc, since no grid of ONNX
holds them, and carry the name of their Dequantize.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from zeropoint.arithmetic.qparams import QParams
from zeropoint.export.onnx.floats import Operand
from zeropoint.export.onnx.grids import bounded, dequantized, is_wide, quantized
from zeropoint.export.onnx.refusal import Refusal
from zeropoint.export.onnx.sheet import Sheet
from zeropoint.graph.value import Plain, Shape, Value
from zeropoint.ops.quantize import Dequantize
from zeropoint.program.program import Program


class Writing:
    """The program, the sheet, and the real forms of integer values so far."""

    def __init__(self, program: Program, opset: int) -> None:
        self.program = program
        self.sheet = Sheet(frozenset(program.graph.values), opset)
        self._reals: dict[str, str] = {}

    def value(self, name: str) -> Value:
        """The program's value of that name."""
        return self.program.graph.values[name]

    def params(self, name: str) -> QParams:
        """The grid of an integer value."""
        params = self.value(name).params
        assert params is not None  # Program.verify says so
        return params

    def shape(self, name: str) -> Shape:
        """The shape of a value."""
        return self.value(name).shape

    def stored(self, name: str) -> str:
        """The tensor in the form that it has in the program."""
        if name in self.program.graph.constants:
            return self.sheet.own(name, self.program.graph.constants[name].detach().cpu().numpy())
        return name

    def integer(self, name: str) -> str:
        """The tensor as integers."""
        if name in self._reals and is_wide(self.params(name)):
            raise Refusal(f"{name}, an int32 accumulator that integers are computed from")
        return self.stored(name)

    def real(self, name: str) -> str:
        """The tensor as real numbers."""
        params = self.value(name).params
        if params is None:
            return self.stored(name)
        if name not in self._reals:
            with self.named(name):
                self._reals[name] = dequantized(self.sheet, self.integer(name), params)
        return self._reals[name]

    def is_real(self, name: str) -> bool:
        """True for a value that is held as real numbers."""
        params = self.value(name).params
        return params is None or (is_wide(params) and name not in self.program.graph.constants)

    def operand(self, name: str) -> Operand:
        """The tensor as real numbers, with its shape."""
        return Operand(self.real(name), self.shape(name))

    def as_it_is(self, name: str) -> Operand:
        """The tensor in the form that it has in the program, with its shape and dtype."""
        type = self.value(name).type
        dtype = type.dtype if isinstance(type, Plain) else None
        return Operand(self.stored(name), self.shape(name), dtype)

    def put(self, name: str, result: str) -> None:
        """The result is the value, in the form that it has in the program."""
        self.sheet.call(result, name)

    def any(self, name: str) -> str:
        """The tensor in whichever form it has, for those that want its shape."""
        return (
            self._reals[name] if self.is_real(name) and name in self._reals else self.stored(name)
        )

    def release(self, name: str, wanted: str) -> None:
        """The real form of an integer value under the name of its Dequantize."""
        if not self.is_real(name):
            self.put(wanted, dequantized(self.sheet, self.integer(name), self.params(name)))
        elif self._reals[name] != wanted:
            self.put(wanted, self._reals[name])

    def put_real(self, name: str, result: str) -> None:
        """The result is the real form of an accumulator."""
        users = self.program.graph.users[name]
        wanted = next((user.output for user in users if isinstance(user.op, Dequantize)), None)
        if wanted is not None:
            self.sheet.call(result, wanted)
        self._reals[name] = wanted or result

    def narrow(self, name: str, real: str, bounds: tuple[int, int] | None = None) -> None:
        """The value is the real result on its grid, within inclusive bounds."""
        self.put_bounded(name, quantized(self.sheet, real, self.params(name)), bounds)

    def put_bounded(self, name: str, q: str, bounds: tuple[int, int] | None = None) -> None:
        """The integers are the value, within inclusive bounds: by default those of its grid."""
        params = self.params(name)
        self.put(name, bounded(self.sheet, q, params, bounds or (params.low, params.high)))

    @contextmanager
    def named(self, hint: str) -> Iterator[None]:
        """New results are named after `hint`."""
        before, self.sheet.hint = self.sheet.hint, hint
        yield
        self.sheet.hint = before
