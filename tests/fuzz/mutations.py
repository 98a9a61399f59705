"""Files of the same kind with something else in them, and the digest that belongs to it."""

import copy
import json
import math
import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from tests.fuzz.repairs import repair
from zeropoint.container import container_of, parsed
from zeropoint.ops import OPS
from zeropoint.ops.allowed import ALLOWED
from zeropoint.program import file
from zeropoint.sealed import Kind, digest_of

Json = Any  # nested lists, dicts, strings, numbers
Tensors = dict[str, Tensor]
Path = tuple[str | int, ...]

NUMBERS: tuple[Any, ...] = (
    0, 1, -1, 2, 3, 5, 7, 16, 255, 256, 1000, 65536, 2**24, 2**31 - 1, 2**31, -(2**31), 2**32,
    2**53, 2**62, 2**63 - 1, 2**63, -(2**63), 2**64, 10**30, 10**400, 0.0, -0.0, 0.5, -1.0, 1e-45,
    1e-30, 1e-9, 1e9, 1e30, 3e38, 1e300, math.inf, -math.inf, math.nan, 1.5,
)  # fmt: skip
OTHERS: tuple[Any, ...] = (
    None, True, False, "", "x", "N", "H", "?", "H // 0", "N**N**N", "9" * 5000, "(" * 500, "u8",
    "i8", "i32", "u2", "u16", "f32", "f64", "bool", "int64", "size", "c64", "constant", "reflect",
    [], [0], [[]], {}, {"a": 1}, ["%", 0], ["%", -1], ["%", 99], ["list"], ["dtype", "float64"],
    ["dtype", "load"], ["device", "cuda"], "\ud7ff\0", "aten.as_strided.default",
)  # fmt: skip
DTYPES = (
    torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32,
    torch.int16, torch.int8, torch.uint8, torch.bool, torch.complex64,
)  # fmt: skip
REPAIRED = 0.6
"""Of so many programs the rest is made to fit: these run, and find out engines."""

HOSTILE = (
    "aten.as_strided.default", "aten.set_.source_Tensor", "aten.from_file.default",
    "inductor._reinterpret_tensor.default", "aten.resize.default", "aten.view.dtype",
    "prims.as_strided.default", "aten.empty_strided.default", "aten.bincount.default",
    "aten._embedding_bag.default", "aten.normal_functional.default",
)  # fmt: skip


def mutated(kind: Kind, content: bytes, others: Sequence[bytes], seed: int) -> bytes:
    """The file with one to four changes that the seed chooses; pieces may come from the others."""
    pick = random.Random(seed)
    body, tensors = taken_apart(kind, content)
    donor, _ = taken_apart(kind, pick.choice(others))
    changes = _changes(body, tensors, donor, pick)
    for _ in range(pick.choice((1, 1, 1, 1, 2, 3, 4))):
        with suppress(Exception):  # an earlier change may have left nothing for a later one
            pick.choice(changes)()
    if kind is file.KIND and pick.random() < REPAIRED:
        with suppress(Exception):  # what is no graph any more
            repair(body, tensors)
    return sealed(kind, body, tensors)


def taken_apart(kind: Kind, content: bytes) -> tuple[Json, Tensors]:
    """The JSON and the tensors of a file."""
    container = container_of(bytearray(content))
    body = parsed(container.metadata[kind.key])
    del body["digest"]
    return body, dict(container.tensors)


def sealed(kind: Kind, body: Json, tensors: Tensors) -> bytes:
    """A file with these, and their digest."""
    distinct = {name: tensor.contiguous().clone() for name, tensor in tensors.items()}
    text = json.dumps({**body, "digest": digest_of(body, distinct)})
    return save(distinct, {kind.key: text})


def _changes(
    body: Json, tensors: Tensors, donor: Json, pick: random.Random
) -> list[Callable[[], None]]:
    general: list[Callable[[], None]] = [
        lambda: _leaf(body, pick),
        lambda: _leaf(body, pick),
        lambda: _leaf(body, pick),
        lambda: _list(body, pick),
        lambda: _key(body, pick),
        lambda: _swap(body, pick),
        lambda: _transplant(body, donor, pick),
        lambda: _tensor(tensors, pick),
        lambda: _tensor(tensors, pick),
    ]
    if "graph" not in body:
        return general
    return [
        *general,
        lambda: _option(body, pick),
        lambda: _option(body, pick),
        lambda: _option(body, pick),
        lambda: _operator(body, pick),
        lambda: _operand(body, pick),
        lambda: _rename(body, tensors, pick),
        lambda: _grid(body, pick),
        lambda: _type(body, pick),
        lambda: _shape(body, tensors, pick),
        lambda: _target(body, pick),
        lambda: _nodes(body, pick),
    ]


# --- anywhere ------------------------------------------------------------------------------------


def _paths(data: Json, at: Path = ()) -> list[Path]:
    found = [at]
    if isinstance(data, dict):
        for key, item in data.items():
            found += _paths(item, (*at, key))
    if isinstance(data, list):
        for index, item in enumerate(data):
            found += _paths(item, (*at, index))
    return found


def _at(data: Json, path: Path) -> Json:
    for step in path:
        data = data[step]
    return data


def _put(data: Json, path: Path, item: Json) -> None:
    _at(data, path[:-1])[path[-1]] = item


def _other(item: Json, pick: random.Random) -> Json:
    """Something that may stand in the place of a leaf: often something near."""
    if isinstance(item, bool):
        return not item
    if isinstance(item, int | float) and pick.random() < 0.5:
        near = (item + 1, item - 1, item * 2, -item, item // 2, float(item), item * 10, item / 3)
        return pick.choice(near)
    if isinstance(item, int | float) and pick.random() < 0.8:
        return pick.choice(NUMBERS)
    if isinstance(item, str) and pick.random() < 0.3:
        return item + pick.choice(("x", "'", ":scale", "\n"))
    return pick.choice((*NUMBERS, *OTHERS))


def _leaf(body: Json, pick: random.Random) -> None:
    paths = [p for p in _paths(body) if p and not isinstance(_at(body, p), dict | list)]
    if paths:
        path = pick.choice(paths)
        _put(body, path, _other(_at(body, path), pick))


def _list(body: Json, pick: random.Random) -> None:
    lists = [item for path in _paths(body) if isinstance(item := _at(body, path), list) and item]
    if not lists:
        return
    chosen = pick.choice(lists)
    match pick.randrange(5):
        case 0:
            chosen.pop(pick.randrange(len(chosen)))
        case 1:
            chosen.append(copy.deepcopy(pick.choice(chosen)))
        case 2:
            pick.shuffle(chosen)
        case 3:
            chosen.insert(pick.randrange(len(chosen) + 1), pick.choice((*NUMBERS, *OTHERS)))
        case _:
            chosen.clear()


def _key(body: Json, pick: random.Random) -> None:
    objects = [item for path in _paths(body) if isinstance(item := _at(body, path), dict) and item]
    chosen = pick.choice(objects)
    key = pick.choice(list(chosen))
    item = chosen.pop(key)
    if pick.random() < 0.5:
        chosen[key + pick.choice(("x", ""))] = item
        chosen["more"] = pick.choice(OTHERS)


def _swap(body: Json, pick: random.Random) -> None:
    paths = [path for path in _paths(body) if path]
    one, other = pick.choice(paths), pick.choice(paths)
    if one[: len(other)] != other and other[: len(one)] != one:
        first, second = _at(body, one), _at(body, other)
        if type(first) is type(second):
            _put(body, one, second)
            _put(body, other, first)


def _transplant(body: Json, donor: Json, pick: random.Random) -> None:
    """A piece of another file in the place of one of the same name."""
    mine, theirs = _paths(body), _paths(donor)
    path = pick.choice([path for path in mine if path])
    alike = [other for other in theirs if other and other[-1] == path[-1]]
    if alike:
        _put(body, path, copy.deepcopy(_at(donor, pick.choice(alike))))


# --- tensors -------------------------------------------------------------------------------------


def _tensor(tensors: Tensors, pick: random.Random) -> None:
    if not tensors:
        return
    name = pick.choice(list(tensors))
    tensor = tensors[name]
    match pick.randrange(9):
        case 0:
            del tensors[name]
        case 1:
            tensors[name] = tensor.to(pick.choice(DTYPES))
        case 2:
            tensors[name] = tensor.reshape(pick.choice(((-1,), (1, -1), (-1, 1, 1))))
        case 3 if tensor.ndim:
            axis = pick.randrange(tensor.ndim)
            tensors[name] = tensor.narrow(axis, 0, pick.randrange(tensor.shape[axis] + 1))
        case 4:
            tensors[name] = torch.cat([tensor.reshape(1, -1)] * 2).flatten()
        case 5 if tensor.ndim > 1:
            tensors[name] = tensor.transpose(0, 1)
        case 6:
            tensors[pick.choice((name, name + "x"))] = tensors[pick.choice(list(tensors))]
        case _ if tensor.numel():
            _element(tensor, pick)


def _element(tensor: Tensor, pick: random.Random) -> None:
    flat = tensor.view(-1)
    where = pick.randrange(flat.numel()) if pick.random() < 0.7 else slice(None)
    if tensor.dtype.is_floating_point:
        odd = (0.0, -1.0, 1e-45, 1e-30, 1e30, 3e38, math.inf, -math.inf, math.nan)
        flat[where] = pick.choice(odd)
    elif tensor.dtype not in (torch.bool, torch.complex64):
        info = torch.iinfo(tensor.dtype)
        flat[where] = pick.choice((info.min, info.max, 0, 1, pick.randint(info.min, info.max)))


# --- programs ------------------------------------------------------------------------------------


def _node(body: Json, pick: random.Random) -> Json:
    nodes = body["graph"]["nodes"]
    return pick.choice(nodes) if isinstance(nodes, list) and nodes else {}


def _option(body: Json, pick: random.Random) -> None:
    """A number in an operator's options, or an option that was left out."""
    node = _node(body, pick)
    options = node.get("options") if isinstance(node, dict) else None
    if not isinstance(options, dict):
        return
    kind = OPS.get(node.get("op"))
    names = [*getattr(kind, "__dataclass_fields__", {})]
    paths = [p for p in _paths(options) if p and not isinstance(_at(options, p), dict | list)]
    if names and (not paths or pick.random() < 0.3):
        name = pick.choice(names)
        default = getattr(kind, name, 1)
        item = [*default] if isinstance(default, tuple) and default else default
        options[name] = _other(item, pick) if not isinstance(item, list) else item
        paths = [p for p in _paths(options) if p and p[0] == name]
        paths = [p for p in paths if not isinstance(_at(options, p), list)]
    if paths:
        path = pick.choice(paths)
        _put(options, path, _other(_at(options, path), pick))


def _operator(body: Json, pick: random.Random) -> None:
    node = _node(body, pick)
    if isinstance(node, dict):
        node["op"] = pick.choice(list(OPS))
        if pick.random() < 0.5:
            node["options"] = {}


def _operand(body: Json, pick: random.Random) -> None:
    node, values = _node(body, pick), body["graph"]["values"]
    if isinstance(node, dict) and isinstance(node.get("inputs"), list) and isinstance(values, dict):
        inputs = node["inputs"]
        if inputs and values:
            inputs[pick.randrange(len(inputs))] = pick.choice(list(values))


def _rename(body: Json, tensors: Tensors, pick: random.Random) -> None:
    """One value under another's name, everywhere or here and there."""
    values = body["graph"]["values"]
    if not isinstance(values, dict) or not values:
        return
    old, new = pick.choice(list(values)), pick.choice([*values, "new", "", "\0", "a b", "%"])
    for path in _paths(body):
        if path and _at(body, path) == old and pick.random() < 0.8:
            _put(body, path, new)
    if old in values and pick.random() < 0.8:
        values[new] = values.pop(old)
    if old in tensors and pick.random() < 0.8:
        tensors[new] = tensors.pop(old)


def _value(body: Json, pick: random.Random) -> Json:
    values = body["graph"]["values"]
    found = pick.choice(list(values.values())) if isinstance(values, dict) and values else {}
    return found if isinstance(found, dict) else {}


def _grid(body: Json, pick: random.Random) -> None:
    value = _value(body, pick)
    if "scale" in value:
        key = pick.choice(("scale", "zero_point"))
        value[key] = _other(value[key], pick)
        if key == "scale" and pick.random() < 0.5:
            value[key] = pick.choice((2.0**-60, 2.0**40, 2.0**-59.5, 1e-10, 1e10, 2.0**-61))


def _type(body: Json, pick: random.Random) -> None:
    integers = ("u8", "u7", "u4", "u2", "u16", "i8", "i4", "i16", "i32", "u32")
    _value(body, pick)["type"] = pick.choice((*integers, "f32", "f64", "f16", "size"))


def _shape(body: Json, tensors: Tensors, pick: random.Random) -> None:
    shape = _value(body, pick).get("shape")
    if isinstance(shape, list) and shape:
        shape[pick.randrange(len(shape))] = pick.choice((*NUMBERS[:20], "N", "H", "2*N", "?"))


def _target(body: Json, pick: random.Random) -> None:
    """Another operator of torch, or a node that was an integer operator as an island."""
    node = _node(body, pick)
    if not isinstance(node, dict) or not isinstance(node.get("options"), dict):
        return
    name = pick.choice(sorted(ALLOWED))
    overload = pick.choice(getattr(torch.ops.aten, name).overloads())
    target = pick.choice(HOSTILE) if pick.random() < 0.1 else f"aten.{name}.{overload}"
    count = len(node["inputs"]) if isinstance(node.get("inputs"), list) else 1
    if node.get("op") != "opaque":
        arguments: list[Any] = [["%", i] for i in range(min(count, 4))]
        extra = [0, 1, 2, ["list", 2, 2], ["list", 1], 0.5, -1, None, True, ["list", ["%", 0]]]
        arguments += [pick.choice(extra) for _ in range(pick.randrange(4))]
        node["op"], node["options"] = "opaque", {"arguments": arguments, "reason": "x"}
        if isinstance(body.get("islands"), dict) and isinstance(node.get("outputs"), list):
            body["islands"] |= {str(o): "x" for o in node["outputs"][:1]}
    node["options"]["target"] = target


def _nodes(body: Json, pick: random.Random) -> None:
    nodes = body["graph"]["nodes"]
    if not isinstance(nodes, list) or not nodes:
        return
    place = pick.randrange(len(nodes))
    match pick.randrange(4):
        case 0:
            nodes.pop(place)
        case 1:
            nodes.insert(pick.randrange(len(nodes)), copy.deepcopy(nodes[place]))
        case 2:
            nodes[place], nodes[0] = nodes[0], nodes[place]
        case _:
            nodes.reverse()
