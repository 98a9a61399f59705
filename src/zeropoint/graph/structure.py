"""How a model's outputs are nested: one tensor, a tuple, a list or a dict of them, and so on.

Classes of outputs (named tuples, ordered dicts, whatever is registered with torch's pytree, as the
ModelOutput of transformers is) are made again by the functions that torch knows them by, in the
process that captured them. A file holds no class, only names: what was loaded gives a `Record` in
their place, or a `Row` for a named tuple.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from torch.utils._pytree import SUPPORTED_NODES, TreeSpec, _get_node_type

Json = Any  # nested lists, dicts, strings and numbers
Key = str | int
Make = Callable[[list[Any]], Any]
"""The items of an object of some class, in order, to the object."""

NUMBERS = (bool, int, float, str)
"""Types of what a model may return beside tensors; it is the same at every call."""


class Record(dict[Key, Any]):
    """A dict whose items are attributes as well, and by place where no key is a number."""

    def __getattr__(self, name: str) -> Any:
        if name in self:
            return self[name]
        raise AttributeError(f"there is no output {name!r}; there are {', '.join(map(str, self))}")

    def __missing__(self, key: Any) -> Any:
        if isinstance(key, (int, slice)) and not any(isinstance(own, int) for own in self):
            return tuple(self.values())[key]
        raise KeyError(key)


class Row(tuple[Any, ...]):
    """A tuple whose items have names as well."""

    names: tuple[Key, ...]

    def __getattr__(self, name: str) -> Any:
        if name != "names" and name in self.names:
            return self[self.names.index(name)]
        raise AttributeError(f"there is no output {name!r}")


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
class Fixed:
    """A number, a truth value or a word in the place of a tensor."""

    value: bool | int | float | str

    def leaves(self) -> int:
        """How many tensors there are."""
        return 0


@dataclass(frozen=True)
class Nest:
    """A tuple (`keys` is None), a list (`keys` is None, `mutable`), or a dict with these keys.

    Of another class if `named`: of a tuple with names if `mutable` is False, else of a dict. Only
    the process that captured it has `make`.
    """

    children: tuple["Structure", ...]
    keys: tuple[Key, ...] | None = None
    mutable: bool = False
    named: bool = False
    make: Make | None = field(default=None, compare=False, repr=False)

    def leaves(self) -> int:
        """How many tensors there are."""
        return sum(child.leaves() for child in self.children)


Structure = Leaf | Empty | Fixed | Nest


def structure_of(nested: object) -> Structure:
    """The structure of nested tuples, lists, dicts and registered classes; else it is a leaf."""
    if nested is None:
        return Empty()
    if isinstance(nested, NUMBERS):
        return Fixed(nested)
    opened = _opened(nested)
    if opened is None:
        return Leaf()
    children = tuple(structure_of(item) for item in opened.items)
    return Nest(children, opened.keys, opened.mutable, opened.named, opened.make)


def structure_of_spec(spec: TreeSpec, leaves: Sequence[object]) -> Structure:
    """The structure that torch's pytree describes, with `leaves` in it: no object is made."""
    return _of_spec(spec, iter(leaves))


def leaves_of(nested: object) -> list[Any]:
    """The leaves of nested tuples, lists, dicts and registered classes, in order: tensors alone."""
    if nested is None or isinstance(nested, NUMBERS):
        return []
    opened = _opened(nested)
    if opened is None:
        return [nested]
    return [leaf for item in opened.items for leaf in leaves_of(item)]


def nest(structure: Structure, leaves: Sequence[Any], *, plain: bool = False) -> Any:
    """The leaves put back into their structure: the inverse of `leaves_of`.

    `plain` makes tuples, lists and dicts only.
    """
    return _nest(structure, iter(leaves), plain)


def _nest(structure: Structure, leaves: Iterator[Any], plain: bool) -> Any:
    if isinstance(structure, Leaf):
        return next(leaves)
    if isinstance(structure, Empty):
        return None
    if isinstance(structure, Fixed):
        return structure.value
    children = [_nest(child, leaves, plain) for child in structure.children]
    if structure.make is not None and not plain:
        return structure.make(children)
    if structure.keys is None:
        return children if structure.mutable else tuple(children)
    if structure.named and not structure.mutable:
        return tuple(children) if plain else _row(children, structure.keys)
    kind = Record if structure.named and not plain else dict
    return kind(zip(structure.keys, children, strict=True))


def _row(children: Sequence[Any], names: tuple[Key, ...]) -> Row:
    row = Row(children)
    row.names = names
    return row


# --- classes of outputs --------------------------------------------------------------------------


@dataclass(frozen=True)
class _Opened:
    items: Sequence[Any]
    keys: tuple[Key, ...] | None = None
    mutable: bool = False
    named: bool = False
    make: Make | None = None


def _opened(nested: object) -> _Opened | None:
    """What an object holds; None if it holds nothing that is known."""
    kind = _get_node_type(nested)
    if kind in SUPPORTED_NODES:
        items, context = SUPPORTED_NODES[kind].flatten_fn(nested)
        return _registered(kind, context, list(items))
    if isinstance(nested, Mapping):
        return _Opened(list(nested.values()), tuple(nested))
    if isinstance(nested, (tuple, list)):
        return _Opened(list(nested), mutable=isinstance(nested, list))
    return None


def _registered(kind: Any, context: Any, items: Sequence[Any]) -> _Opened:
    if kind in (tuple, list):
        return _Opened(items, mutable=kind is list)
    if kind is dict:
        return _Opened(items, tuple(context))
    make = partial(_made, kind, context)
    fields = getattr(context, "_fields", None)  # of a named tuple's class
    if fields is not None:
        return _Opened(items, tuple(fields), mutable=False, named=True, make=make)
    keys = _keys(context, len(items))
    return _Opened(items, keys, mutable=keys is not None, named=keys is not None, make=make)


def _made(kind: Any, context: Any, items: list[Any]) -> Any:
    return SUPPORTED_NODES[kind].unflatten_fn(items, context)


def _keys(context: Any, count: int) -> tuple[Key, ...] | None:
    """The names of items, as registered classes keep them: alone, or among other things."""
    for names in (context, *(context if isinstance(context, (list, tuple)) else ())):
        is_list = isinstance(names, (list, tuple)) and len(names) == count
        if is_list and all(type(name) in (str, int) for name in names):
            return tuple(names) if len(set(names)) == count else None
    return None


def _of_spec(spec: TreeSpec, leaves: Iterator[object]) -> Structure:
    if spec.is_leaf():
        return structure_of(next(leaves))
    children = tuple(_of_spec(child, leaves) for child in spec.children())
    opened = _registered(spec.type, spec.context, children)
    return Nest(children, opened.keys, opened.mutable, opened.named, opened.make)


# --- files ---------------------------------------------------------------------------------------


def to_json(structure: Structure) -> Json:
    """The structure as JSON data."""
    if isinstance(structure, Leaf):
        return "tensor"
    if isinstance(structure, Empty):
        return None
    if isinstance(structure, Fixed):
        return {"value": structure.value}
    children = [to_json(child) for child in structure.children]
    if structure.keys is None:
        return {"mutable": structure.mutable, "children": children}
    data: dict[str, Json] = {"keys": list(structure.keys), "children": children}
    if structure.named:
        data |= {"named": True, "mutable": structure.mutable}
    return data


def from_json(data: Json) -> Structure:
    """The inverse of `to_json`, but for `make`; ValueError for anything that it does not give."""
    if data == "tensor":
        return Leaf()
    if data is None:
        return Empty()
    if isinstance(data, dict) and data.keys() == {"value"} and type(data["value"]) in NUMBERS:
        return Fixed(data["value"])
    if not isinstance(data, dict) or not isinstance(data.get("children"), list):
        raise ValueError(f"{data!r} is no structure of outputs")
    children = tuple(from_json(child) for child in data["children"])
    keys, mutable, named = data.get("keys"), data.get("mutable", False), data.get("named", False)
    if not isinstance(mutable, bool) or not isinstance(named, bool) or (named and keys is None):
        raise ValueError(f"{data!r} is no structure of outputs")
    if keys is None:
        return Nest(children, None, mutable)
    if not isinstance(keys, list) or not all(type(key) in (str, int) for key in keys):
        raise ValueError(f"{keys!r} are no keys of outputs")
    if len(keys) != len(children) or len(set(keys)) < len(keys):
        raise ValueError(f"{len(children)} outputs do not fit the keys {keys!r}")
    return Nest(children, tuple(keys), mutable, named)
