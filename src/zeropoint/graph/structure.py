"""How a model's outputs are nested: one tensor, a tuple, a list or a dict of them, and so on."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Json = Any  # nested lists, dicts, strings and numbers


@dataclass(frozen=True)
class Leaf:
    """One tensor."""

    def leaves(self) -> int:
        """How many tensors there are."""
        return 1


@dataclass(frozen=True)
class Empty:
    """None in the place of a tensor."""

    def leaves(self) -> int:
        """How many tensors there are."""
        return 0


@dataclass(frozen=True)
class Nest:
    """A tuple (`keys` is None), a list (`keys` is None, `mutable`), or a dict with these keys."""

    children: tuple["Structure", ...]
    keys: tuple[str | int, ...] | None = None
    mutable: bool = False

    def leaves(self) -> int:
        """How many tensors there are."""
        return sum(child.leaves() for child in self.children)


Structure = Leaf | Empty | Nest


def structure_of(nested: object) -> Structure:
    """The structure of nested tuples, lists and dicts; anything else is a leaf."""
    if nested is None:
        return Empty()
    if isinstance(nested, Mapping):
        return Nest(tuple(structure_of(item) for item in nested.values()), tuple(nested))
    if isinstance(nested, (tuple, list)):
        children = tuple(structure_of(item) for item in nested)
        return Nest(children, mutable=isinstance(nested, list))
    return Leaf()


def leaves_of(nested: object) -> list[Any]:
    """The leaves of nested tuples, lists and dicts, in order."""
    if nested is None:
        return []
    if isinstance(nested, Mapping):
        return [leaf for item in nested.values() for leaf in leaves_of(item)]
    if isinstance(nested, (tuple, list)):
        return [leaf for item in nested for leaf in leaves_of(item)]
    return [nested]


def nest(structure: Structure, leaves: Sequence[Any]) -> Any:
    """The leaves put back into their structure: the inverse of `leaves_of`."""
    return _nest(structure, iter(leaves))


def _nest(structure: Structure, leaves: Iterator[Any]) -> Any:
    if isinstance(structure, Leaf):
        return next(leaves)
    if isinstance(structure, Empty):
        return None
    children = [_nest(child, leaves) for child in structure.children]
    if structure.keys is not None:
        return dict(zip(structure.keys, children, strict=True))
    return children if structure.mutable else tuple(children)


def to_json(structure: Structure) -> Json:
    """The structure as JSON data."""
    if isinstance(structure, Leaf):
        return "tensor"
    if isinstance(structure, Empty):
        return None
    children = [to_json(child) for child in structure.children]
    if structure.keys is not None:
        return {"keys": list(structure.keys), "children": children}
    return {"mutable": structure.mutable, "children": children}


def from_json(data: Json) -> Structure:
    """The inverse of `to_json`; ValueError for anything that it does not give."""
    if data == "tensor":
        return Leaf()
    if data is None:
        return Empty()
    if not isinstance(data, dict) or not isinstance(data.get("children"), list):
        raise ValueError(f"{data!r} is no structure of outputs")
    children = tuple(from_json(child) for child in data["children"])
    keys, mutable = data.get("keys"), data.get("mutable", False)
    if keys is None and isinstance(mutable, bool):
        return Nest(children, None, mutable)
    if not isinstance(keys, list) or not all(type(key) in (str, int) for key in keys):
        raise ValueError(f"{keys!r} are no keys of outputs")
    if len(keys) != len(children) or len(set(keys)) < len(keys):
        raise ValueError(f"{len(children)} outputs do not fit the keys {keys!r}")
    return Nest(children, tuple(keys))
