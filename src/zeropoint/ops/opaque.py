"""Any other operator of torch: a float island, by name, with the reason why.

`target` is the operator's name ("aten.sigmoid.default"). `arguments` is its call with the operands
taken out: ("%", i) stands for operand i, ("dtype", "float32") for a dtype; numbers, strings and
tuples for themselves. Only functional operators that are registered with torch and take a tensor
may be named: a file cannot make torch do anything but compute.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from zeropoint.errors import GraphError
from zeropoint.graph.op import Op
from zeropoint.graph.value import Value


@dataclass(frozen=True)
class Opaque(Op):
    """An operator that zeropoint does not know; it runs in float32."""

    name: ClassVar[str] = "opaque"

    target: str
    arguments: tuple[Any, ...] = ()
    keywords: tuple[tuple[str, Any], ...] = ()
    reason: str = ""

    def check(self) -> None:
        """GraphError unless torch has the operator, and it does nothing but compute."""
        resolve(self.target)

    def run(self, *inputs: Any) -> Any:  # whatever torch's operator returns
        """Calls torch's operator."""
        arguments = [_filled(item, inputs) for item in self.arguments]
        keywords = {key: _filled(item, inputs) for key, item in self.keywords}
        result = resolve(self.target)(*arguments, **keywords)
        if not isinstance(result, (list, tuple)):
            return result
        return tuple(result) if len(result) > 1 else result[0]


def resolve(target: str) -> torch._ops.OpOverload:
    """The torch operator of that name; GraphError if there is none or it has side effects."""
    namespace, _, rest = target.partition(".")
    name, _, overload = rest.rpartition(".")
    try:
        found = getattr(getattr(getattr(torch.ops, namespace), name), overload)
    except (AttributeError, RuntimeError) as error:
        raise GraphError(f"torch has no operator {target!r} here") from error
    if not isinstance(found, torch._ops.OpOverload) or not _is_functional(found):
        raise GraphError(f"{target!r} is no functional operator on tensors; refusing to run it")
    return found


def _is_functional(op: torch._ops.OpOverload) -> bool:
    schema = op._schema
    types = [str(argument.type) for argument in schema.arguments]
    results = [str(result.type) for result in schema.returns]
    takes_tensor = any("Tensor" in type for type in types)
    # torch.ones makes a tensor of numbers; torch.from_file would read a file by its name.
    makes_tensor = op.namespace == "aten" and not any("str" in type for type in types)
    gives_tensors = bool(results) and all("Tensor" in type for type in results)
    return (takes_tensor or makes_tensor) and gives_tensors and not schema.is_mutable


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
        return ("%", len(operands) - 1)
    if isinstance(item, (list, tuple)):
        return ("list", *[_emptied(part, operands) for part in item])
    for kind in (torch.dtype, torch.memory_format, torch.layout, torch.device):
        if isinstance(item, kind):
            return (kind.__name__, str(item).removeprefix("torch."))
    return item


def _filled(item: Any, inputs: Sequence[Any]) -> Any:
    if not isinstance(item, tuple):
        return item
    kind, *rest = item
    if kind == "%":
        return inputs[rest[0]]
    if kind == "list":
        return [_filled(part, inputs) for part in rest]
    return torch.device(rest[0]) if kind == "device" else getattr(torch, rest[0])


OPS = (Opaque,)
CAPTURES: dict[str, object] = {}
