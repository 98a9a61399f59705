"""Any other operator of torch: a float island, by name, with the reason why.

`target` is the operator's name ("aten.sigmoid.default"). `arguments` is its call with the operands
taken out: ("%", i) stands for operand i, ("dtype", "float32") for a dtype; numbers, strings and
tuples for themselves. Only the operators of allowed.py may be named, with numbers within bounds: a
file cannot make torch do anything but compute.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from zeropoint.errors import EngineError, GraphError
from zeropoint.graph.op import Op
from zeropoint.graph.value import Value
from zeropoint.ops.allowed import ALLOWED, LARGEST_OF, OWN, REFUSED_OVERLOADS, UNWRITTEN

META = torch.device("meta")

OPERAND, LIST = "%", "list"

KINDS: Mapping[str, Mapping[str, Any]] = {
    "dtype": {
        str(item).removeprefix("torch."): item
        for item in vars(torch).values()
        if isinstance(item, torch.dtype)
    },
    "memory_format": {
        name: getattr(torch, name)
        for name in ("contiguous_format", "preserve_format", "channels_last", "channels_last_3d")
    },
    "layout": {"strided": torch.strided},
    "device": {"cpu": torch.device("cpu")},
    "number": {"nan": math.nan},
}
"""What is neither a number nor a string, by kind and name."""

LARGEST = 1 << 31
"""Of any number, but for those that stand for the end of a dimension."""

ENDS = range((1 << 63) - 2, 1 << 63)
MOST_ITEMS = 4096
MOST_LETTERS = 256


@dataclass(frozen=True)
class Opaque(Op):
    """An operator that zeropoint does not know; it runs in float32."""

    name: ClassVar[str] = "opaque"

    target: str
    arguments: tuple[Any, ...] = ()
    keywords: tuple[tuple[str, Any], ...] = ()
    reason: str = ""

    def check(self) -> None:
        """GraphError unless the operator does nothing but compute, and may be called like this."""
        op = resolve(self.target)
        named = {argument.name for argument in op._schema.arguments}
        given = [name for name, _ in _named(op, self.arguments, self.keywords)]
        if not set(given) <= named or len(set(given)) < len(given):
            raise GraphError(f"{self.target} takes no arguments like these")
        for name, item in _named(op, self.arguments, self.keywords):
            _check_item(self.target, item, LARGEST_OF.get(name, LARGEST))

    def run(self, *inputs: Any) -> Any:  # whatever torch's operator returns
        """Calls torch's operator; EngineError for what it cannot take, such as a wrong index."""
        try:
            return called(resolve(self.target), self.arguments, self.keywords, inputs)
        except (LookupError, TypeError, ValueError, ArithmeticError) as error:
            raise EngineError(f"{self.target}: {error}") from error

    def run_on_meta(self, *inputs: Any) -> Any:
        """The shapes and types of the results, as tensors without contents."""
        op = resolve(self.target)
        arguments = tuple(map(_on_meta, self.arguments))
        keywords = tuple((key, _on_meta(item)) for key, item in self.keywords)
        given = {name for name, _ in _named(op, arguments, keywords)}
        if "device" in {argument.name for argument in op._schema.arguments} - given:
            keywords = (*keywords, ("device", META))
        return called(op, arguments, keywords, inputs)


def _on_meta(item: Any) -> Any:
    if not isinstance(item, tuple):
        return item
    return META if item[0] == "device" else tuple(map(_on_meta, item))


def called(
    op: torch._ops.OpOverload,
    arguments: Sequence[Any],
    keywords: Sequence[tuple[str, Any]],
    inputs: Sequence[Any],
) -> Any:
    """What an operator makes of its operands: a tensor, or a tuple of several."""
    filled = [_filled(item, inputs) for item in arguments]
    result = op(*filled, **{key: _filled(item, inputs) for key, item in keywords})
    if op._schema.name.removeprefix("aten::") in UNWRITTEN:
        result.zero_()
    if not isinstance(result, (list, tuple)):
        return result
    return tuple(result) if len(result) > 1 else result[0]


def resolve(target: str) -> torch._ops.OpOverload:
    """The torch operator of that name; GraphError if there is none, or no file may name it."""
    reason = why_not_allowed(target)
    if reason is not None:
        raise GraphError(reason)
    return operator_of(target)


def why_not_allowed(target: str) -> str | None:
    """Why an island may not call that operator; None if it may."""
    namespace, _, rest = target.partition(".")
    base, _, _ = rest.rpartition(".")
    known = target in OWN or (namespace == "aten" and base in ALLOWED)
    if not known or target in REFUSED_OVERLOADS:
        return f"{target!r} is none of the operators that a program may call (ops/allowed.py)"
    try:
        op = operator_of(target)
    except GraphError as error:
        return str(error)
    return None if is_functional(op) else f"{target!r} writes into its operands"


def operator_of(target: str) -> torch._ops.OpOverload:
    """The torch operator of that name, whatever it does; GraphError if there is none."""
    namespace, _, rest = target.partition(".")
    name, _, overload = rest.rpartition(".")
    try:
        found = getattr(getattr(getattr(torch.ops, namespace), name), overload)
    except (AttributeError, RuntimeError) as error:
        raise GraphError(f"torch has no operator {target!r} here") from error
    if not isinstance(found, torch._ops.OpOverload):
        raise GraphError(f"torch has no operator {target!r} here")
    return found


def is_functional(op: torch._ops.OpOverload) -> bool:
    """True if the operator gives tensors, and writes into none."""
    results = [str(result.type) for result in op._schema.returns]
    gives_tensors = bool(results) and all("Tensor" in type for type in results)
    return gives_tensors and not op._schema.is_mutable


def _named(
    op: torch._ops.OpOverload, arguments: Sequence[Any], keywords: Sequence[tuple[str, Any]]
) -> Iterator[tuple[str, Any]]:
    """Each argument with its name in torch; "" for one too many."""
    names = [argument.name for argument in op._schema.arguments if not argument.kwarg_only]
    for place, item in enumerate(arguments):
        yield names[place] if place < len(names) else "", item
    yield from keywords


def _check_item(target: str, item: Any, largest: float) -> None:
    if isinstance(item, tuple):
        _check_tuple(target, item, largest)
    elif isinstance(item, str):
        if len(item) > MOST_LETTERS:
            raise GraphError(f"{target} has an argument of {len(item)} letters")
    elif isinstance(item, int | float):
        small = abs(item) <= largest or item in ENDS or -item in ENDS
        if math.isnan(item) or not (small or (isinstance(item, float) and largest == LARGEST)):
            raise GraphError(f"{target} has the argument {item}, which is out of bounds")
    elif item is not None:
        raise GraphError(f"{target} has a {type(item).__name__} for an argument")


def _check_tuple(target: str, item: tuple[Any, ...], largest: float) -> None:
    kind, *rest = item or ("",)
    if kind == LIST and len(rest) <= MOST_ITEMS:
        for part in rest:
            _check_item(target, part, largest)
    elif kind == OPERAND and len(rest) == 1 and type(rest[0]) is int and rest[0] >= 0:
        return
    elif not (
        isinstance(kind, str)
        and kind in KINDS
        and len(rest) == 1
        and isinstance(rest[0], str)
        and rest[0] in KINDS[kind]
    ):
        raise GraphError(f"{target} has an argument that stands for nothing")


def template(
    arguments: Sequence[Any], keywords: Mapping[str, Any]
) -> tuple[tuple[Any, ...], tuple[tuple[str, Any], ...], list[Value]]:
    """The arguments and keywords of a call with its values taken out, and those values in order."""
    operands: list[Value] = []
    emptied = tuple(_emptied(item, operands) for item in arguments)
    named = tuple((key, _emptied(item, operands)) for key, item in keywords.items())
    return emptied, named, operands


def _emptied(item: Any, operands: list[Value]) -> Any:
    if isinstance(item, Value):
        operands.append(item)
        return (OPERAND, len(operands) - 1)
    if isinstance(item, (list, tuple)):
        return (LIST, *[_emptied(part, operands) for part in item])
    for kind in (torch.dtype, torch.memory_format, torch.layout, torch.device):
        if isinstance(item, kind):
            return (kind.__name__, str(item).removeprefix("torch."))
    if isinstance(item, float) and math.isnan(item):
        return ("number", "nan")  # JSON has none
    return item


def _filled(item: Any, inputs: Sequence[Any]) -> Any:
    if not isinstance(item, tuple):
        return item
    kind, *rest = item
    if kind == OPERAND:
        return inputs[rest[0]]
    if kind == LIST:
        return [_filled(part, inputs) for part in rest]
    return KINDS[kind][rest[0]]


OPS = (Opaque,)
CAPTURES: dict[str, object] = {}
