"""An ONNX graph under construction, as plain data: it needs no ONNX library.

    sheet.hint = "conv1"                    what the next results are named after
    y = sheet.emit("Conv", x, w, b)         "conv1.Conv"
    sheet.call(y, "conv1")                  now it is the program's value

A name of the program is given to nothing else.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Attribute = int | float | str | tuple[int, ...]


@dataclass(frozen=True)
class Line:
    """A node: an operator of ONNX with names for operands and results; "" leaves an operand out."""

    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: tuple[tuple[str, Attribute], ...] = ()


@dataclass
class Sheet:
    """Lines in order, and the constants that they read.

    `reserved` are the program's names, `opset` the version of ONNX's operators that is written.
    """

    reserved: frozenset[str]
    opset: int = 17
    hint: str = "value"
    lines: list[Line] = field(default_factory=list)
    constants: dict[str, Array] = field(default_factory=dict)
    _taken: set[str] = field(default_factory=set)
    _small: dict[tuple[str, tuple[int, ...], bytes], str] = field(default_factory=dict)

    def emit(self, operator: str, *inputs: str, **attributes: Attribute) -> str:
        """A new node with one result."""
        return self.emit_many(operator, 1, *inputs, **attributes)[0]

    def emit_many(
        self, operator: str, results: int, *inputs: str, **attributes: Attribute
    ) -> tuple[str, ...]:
        """A new node with so many results."""
        outputs = tuple(self._fresh(f"{self.hint}.{operator}") for _ in range(results))
        self.lines.append(Line(operator, inputs, outputs, tuple(attributes.items())))
        return outputs

    def constant(self, name: str, array: Array) -> str:
        """A constant of that name, or under another name one with the same content if it is small.

        A number is stored once, however many nodes read it.
        """
        if array.size > 1:
            return self._store(self._fresh(name), array)
        key = (str(array.dtype), array.shape, array.tobytes())
        if key not in self._small:
            self._small[key] = self._store(self._fresh(name), array)
        return self._small[key]

    def own(self, name: str, array: Array) -> str:
        """A constant of the program, under its own name."""
        return name if name in self.constants else self._store(name, array)

    def number(self, value: float, dtype: type[np.generic] = np.float32) -> str:
        """A number without dimensions."""
        return self.constant(f"{self.hint}.number", np.asarray(value, dtype))

    def integers(self, values: Iterable[int]) -> str:
        """A list of int64: a shape, axes, indices."""
        return self.constant(f"{self.hint}.sizes", np.asarray(tuple(values), np.int64))

    def call(self, result: str, name: str) -> None:
        """Name a result after a value of the program; what is another value's is copied."""
        at = next((i for i, line in enumerate(self.lines) if result in line.outputs), None)
        if at is None or result in self.reserved:
            self.lines.append(Line("Identity", (result,), (name,)))
            return
        for i in range(at, len(self.lines)):
            line = self.lines[i]
            inputs = tuple(name if item == result else item for item in line.inputs)
            outputs = tuple(name if item == result else item for item in line.outputs)
            self.lines[i] = replace(line, inputs=inputs, outputs=outputs)

    def _store(self, name: str, array: Array) -> str:
        self.constants[name] = np.ascontiguousarray(array).reshape(array.shape)
        return name

    def _fresh(self, name: str) -> str:
        unique, copies = name, 1
        while unique in self._taken or unique in self.reserved:
            copies += 1
            unique = f"{name}:{copies}"
        self._taken.add(unique)
        return unique
