"""How constants were computed from a model's tensors, so that they can be computed anew.

Capture and the passes are torch code that computes constants once: a standardized weight, the rows
of a transposed convolution, a factor that is folded. Under a tape each operator they call on a
tensor of the model's, or on what came of one, is written down; `computation` gives the part of it
that leads to one constant. Whoever plays it with parameters gets gradients to them.

`detach` is played as nothing, since capture detaches whatever it reads.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map_only

from zeropoint.errors import GraphError

DETACHING = ("aten.detach.default", "aten.alias.default")


@dataclass(frozen=True)
class Slot:
    """A tensor of a computation, by its number."""

    number: int


@dataclass(frozen=True)
class Instruction:
    """One operator, by name: arguments with slots in the place of tensors, and what it writes."""

    target: str
    arguments: tuple[Any, ...]
    keywords: Mapping[str, Any]
    results: tuple[int, ...]


@dataclass(frozen=True)
class Computation:
    """One tensor as a function of the model's: `sources` names these by their slots."""

    sources: Mapping[int, str]
    fixed: Mapping[int, Tensor]
    instructions: tuple[Instruction, ...]
    result: int

    @property
    def names(self) -> frozenset[str]:
        """The model's tensors that it reads."""
        return frozenset(self.sources.values())

    @property
    def is_the_tensor_itself(self) -> bool:
        """True if nothing is computed."""
        return not self.instructions

    def run(self, tensor_at: Callable[[str], Tensor], like: Tensor) -> Tensor:
        """The tensor from the model's as they are now, on the device and in the dtype of `like`."""
        slots = {slot: tensor_at(name) for slot, name in self.sources.items()}
        slots |= {slot: tensor.to(like.device) for slot, tensor in self.fixed.items()}
        for instruction in self.instructions:
            _play(instruction, slots)
        result = slots[self.result]
        return result.to(like.dtype) if result.is_floating_point() else result


def fixed(tensor: Tensor) -> Computation:
    """A tensor that was computed from nothing of the model's."""
    return Computation({}, {0: tensor.detach().clone()}, (), 0)


class Tape(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's
    """Writes down what is computed from the named tensors while it is entered."""

    def __init__(self, sources: Iterable[tuple[str, Tensor]]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's
        self._tensors: list[Tensor] = []
        self._slots: dict[int, int] = {}
        self._names = {self._slot(tensor): name for name, tensor in reversed([*sources])}
        self._played: set[int] = set(self._names)
        self._instructions: list[Instruction] = []

    def __torch_dispatch__(
        self,
        func: Any,  # an operator of torch's
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """The operator's result, written down if it reads what is followed."""
        results = func(*args, **(kwargs or {}))
        read = [self._slots.get(id(x)) for x in _tensors_in((args, kwargs))]
        if self._played.intersection(read):
            self._note(str(func), args, kwargs or {}, results)
        return results

    def _note(
        self, target: str, args: tuple[Any, ...], kwargs: Mapping[str, Any], results: Any
    ) -> None:
        written = _tensors_in(results)
        if not written:
            return  # a number was read
        if target in DETACHING:
            self._slots[id(written[0])] = self._slot(args[0])
            self._tensors.append(written[0])  # its id stays its own
            return
        held = tree_map_only(Tensor, lambda x: Slot(self._slot(x)), (args, dict(kwargs)))
        slots = tuple(self._slot(x) for x in written)
        self._played.update(slots)
        self._instructions.append(Instruction(target, held[0], held[1], slots))

    def _slot(self, tensor: Tensor) -> int:
        slot = self._slots.setdefault(id(tensor), len(self._tensors))
        if slot == len(self._tensors):
            self._tensors.append(tensor)  # its id stays its own
        return slot

    def computation(self, tensor: Tensor) -> Computation | None:
        """How the tensor came of the model's; None if it did not."""
        result = self._slots.get(id(tensor))
        if result is None or result not in self._played:
            return None
        needed, kept = {result}, []
        for instruction in reversed(self._instructions):
            read = _slots_in(instruction)
            if needed.intersection(instruction.results) or _writes_into(instruction, needed):
                kept.append(instruction)
                needed |= read
        written = {slot for instruction in kept for slot in instruction.results}
        return Computation(
            {slot: self._names[slot] for slot in sorted(needed & self._names.keys())},
            {slot: self._tensors[slot] for slot in needed - self._names.keys() - written},
            tuple(reversed(kept)),
            result,
        )


def _play(instruction: Instruction, slots: dict[int, Tensor]) -> None:
    namespace, name, overload = instruction.target.split(".")
    operator = getattr(getattr(getattr(torch.ops, namespace), name), overload)
    arguments = (instruction.arguments, dict(instruction.keywords))
    given, keywords = tree_map_only(Slot, lambda slot: slots[slot.number], arguments)
    keywords.pop("device", None)  # all is computed where the model is
    results = _tensors_in(operator(*given, **keywords))
    if len(results) != len(instruction.results):
        raise GraphError(f"{instruction.target} gives another number of results than before")
    slots.update(zip(instruction.results, results, strict=True))


def _tensors_in(tree: Any) -> list[Tensor]:
    return [leaf for leaf in tree_flatten(tree)[0] if isinstance(leaf, Tensor)]


def _slots_in(instruction: Instruction) -> set[int]:
    leaves = tree_flatten((instruction.arguments, dict(instruction.keywords)))[0]
    return {leaf.number for leaf in leaves if isinstance(leaf, Slot)}


def _writes_into(instruction: Instruction, needed: set[int]) -> bool:
    """True for an operator in place, on something that is needed."""
    name = instruction.target.split(".")[1]
    return name.endswith("_") and bool(needed & _slots_in(instruction))
