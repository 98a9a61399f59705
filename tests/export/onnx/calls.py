"""Calls of torch's operators for islands, and what ONNX Runtime makes of them."""

from dataclasses import dataclass
from typing import Any

from tests.conformance.draft import Case, Draft
from zeropoint.graph.value import Value
from zeropoint.ops.opaque import Opaque

X = ("%", 0)
Y = ("%", 1)
Z = ("%", 2)
IMAGE = (2, 4, 6, 5)


@dataclass(frozen=True)
class Call:
    """An operator, its arguments (X, Y, Z for operands) and the shapes of its operands.

    The first operand is the program's input, with a free batch; the others are constants, those
    named by `masks` truth values, those named by `indices` zeros and ones.
    """

    target: str
    arguments: tuple[Any, ...]
    shapes: tuple[tuple[int, ...], ...] = (IMAGE,)
    keywords: tuple[tuple[str, Any], ...] = ()
    positive: bool = False
    returned: int | None = None
    masks: tuple[int, ...] = ()
    indices: tuple[int, ...] = ()

    def case(self) -> Case:
        """The program with the call as its only island."""
        draft = Draft(seed=0)
        tensors = [draft.normal(shape) for shape in self.shapes]
        if self.positive:
            tensors = [tensor.abs() + 0.1 for tensor in tensors]
        for place in self.masks:
            tensors[place] = tensors[place] > 0
        for place in self.indices:
            tensors[place] = (tensors[place] > 0).long()
        if not tensors:
            draft.input(draft.normal((2,)))
            return self._finished(draft, [])
        first, *others = tensors
        constants = [draft.float_constant(f"c{i}", other) for i, other in enumerate(others)]
        x = draft.input(first)
        return self._finished(draft, [x, *constants])

    def _finished(self, draft: Draft, operands: list[Value]) -> Case:
        op = Opaque(self.target, self.arguments, self.keywords)
        results = draft.emit_many(op, *operands)
        islands = {results[0].name: "it is tested"}
        return draft.case(*results[: self.returned], islands=islands, verified=False)


def listed(*items: Any) -> tuple[Any, ...]:
    """A list among the arguments of a call."""
    return ("list", *items)
