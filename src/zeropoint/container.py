"""A .safetensors file taken apart, whoever wrote it.

    8 bytes    the length of the header
    header     JSON: name -> {dtype, shape, data_offsets}, and "__metadata__": name -> text
    data       the tensors, one after the other, nothing between them, nothing behind them

The file is read once, into memory of its own: what happens to it afterwards does not matter, and
tensors are aligned as torch aligns them, wherever a file has put them.
"""

import json
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from zeropoint.errors import FileError

Json = Any  # nested lists, dicts, strings, numbers

DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
    "C64": torch.complex64,
}
"""The types that a file can hold, by their names there."""

LENGTH = 8
MOST_HEADER = 1 << 25
"""Bytes; ten thousand operators take a fifth of it."""

MOST_DEPTH = 64
MOST_RANK = 16

METADATA = "__metadata__"


@dataclass(frozen=True)
class Container:
    """The tensors of a file by name, and its texts."""

    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, str]


def content_of(path: Path) -> bytearray:
    """The bytes of an ordinary file; FileError for anything else, without waiting for it."""
    with _told(path), open(path, "rb", buffering=0, opener=_opened) as file:
        size = os.fstat(file.fileno()).st_size
        content = bytearray(size)
        if _read(file, content) != size or file.read(1):
            raise FileError(f"{path} changed while it was read; read it again")
    return content


def _opened(path: str, flags: int) -> int:
    handle = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))  # a pipe would wait for a writer
    if stat.S_ISREG(os.fstat(handle).st_mode):
        return handle
    os.close(handle)
    raise FileNotFoundError


def _read(file: FileIO, content: bytearray) -> int:
    """How many bytes there were; one call reads 2 GB at most."""
    done, view = 0, memoryview(content)
    while count := file.readinto(view[done:]):
        done += count
    return done


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:  # ValueError: a null byte
        raise FileError(f"{path} does not exist, or is no file") from error
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror or error}") from error
    except (MemoryError, OverflowError) as error:
        raise FileError(f"{path} cannot be read: it does not fit into memory") from error


def container_of(content: bytearray) -> Container:
    """What the bytes hold; ValueError says in words what is wrong with them."""
    length = int.from_bytes(content[:LENGTH], "little")
    if len(content) < LENGTH or not 0 < length <= min(MOST_HEADER, len(content) - LENGTH):
        raise ValueError("it has no header")
    header = parsed(content[LENGTH : LENGTH + length].decode())
    if not isinstance(header, dict):
        raise ValueError("its header is no list of tensors")
    metadata = header.pop(METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(t, str) for t in metadata.values()):
        raise ValueError("its metadata are no texts")
    places = {name: _place(name, entry) for name, entry in header.items()}
    _check_cover(places, len(content) - LENGTH - length)
    data = memoryview(content)[LENGTH + length :]
    tensors = {name: _tensor(name, place, data) for name, place in places.items()}
    return Container(tensors, metadata)


def parsed(text: str) -> Json:
    """Strict JSON, but for infinities; ValueError for anything else, however deeply nested."""
    try:
        data = json.loads(text, object_pairs_hook=_unique, parse_constant=_constant)
    except RecursionError as error:
        raise ValueError("its JSON is nested too deeply") from error
    _check_depth(data, MOST_DEPTH)
    return data


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("its JSON has one key twice")
    return found


def _constant(text: str) -> float:
    if text == "NaN":
        raise ValueError("its JSON holds NaN")
    return float(text)


def _check_depth(data: Json, most: int) -> None:
    if not isinstance(data, list | dict):
        return
    if not most:
        raise ValueError("its JSON is nested too deeply")
    for item in data.values() if isinstance(data, dict) else data:
        _check_depth(item, most - 1)


@dataclass(frozen=True)
class _Place:
    dtype: torch.dtype
    shape: tuple[int, ...]
    start: int
    stop: int


def _place(name: str, entry: Json) -> _Place:
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"its tensor {name!r} has no dtype, shape and place")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise ValueError(f"its tensor {name!r} is of a type {dtype!r} that is not read here")
    if not (_are_sizes(shape) and _are_sizes(offsets)) or len(offsets) != 2:
        raise ValueError(f"its tensor {name!r} has no shape or no place")
    start, stop = offsets
    if len(shape) > MOST_RANK or stop - start != prod(shape) * DTYPES[dtype].itemsize:
        raise ValueError(f"its tensor {name!r} does not fill its place")
    return _Place(DTYPES[dtype], tuple(shape), start, stop)


def _are_sizes(items: Json) -> bool:
    return isinstance(items, list) and all(type(n) is int and 0 <= n < 2**62 for n in items)


def _check_cover(places: Mapping[str, _Place], length: int) -> None:
    """ValueError unless the tensors lie one behind the other and fill the data."""
    ordered = sorted((place.start, place.stop) for place in places.values())
    ends = [0, *(stop for _, stop in ordered)]
    gap = any(stop != start for (_, stop), (start, _) in pairwise(ordered))
    if ends[-1] != length or gap or (ordered and ordered[0][0] != 0):
        raise ValueError("its tensors do not fill it")


def _tensor(name: str, place: _Place, data: memoryview) -> Tensor:
    if place.start == place.stop:
        return torch.empty(place.shape, dtype=place.dtype)
    stored = torch.uint8 if place.dtype == torch.bool else place.dtype
    view = torch.frombuffer(data[place.start : place.stop], dtype=stored)
    if place.dtype == torch.bool and view.max() > 1:
        raise ValueError(f"its tensor {name!r} holds what is neither true nor false")
    return view.to(place.dtype, copy=True).reshape(place.shape)
