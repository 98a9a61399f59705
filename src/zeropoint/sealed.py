"""Tensors and JSON in one .safetensors file under a digest, and back. Nothing in it is executed.

    tensors    as they are
    metadata   under one key: JSON, with a format and a digest of all of it

A damaged byte anywhere changes the digest, and the file is refused.
"""

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from zeropoint import atomic
from zeropoint.errors import FileError

Json = Any  # nested lists, dicts, strings, numbers
Read = TypeVar("Read")


@dataclass(frozen=True)
class Kind:
    """A kind of file: its metadata's key, its format, and what to say of other files.

    `foreign` goes behind the path of a file of another kind, `again` says how to make a new one.
    """

    key: str
    format: int
    foreign: str
    again: str


def write(
    kind: Kind, path: str | os.PathLike[str], body: Json, tensors: Mapping[str, Tensor]
) -> None:
    """Write a temporary file, then rename it: an old file stays whole until then.

    FileError, with nothing left behind, if it cannot be written.
    """
    body = {"format": kind.format, **body}
    text = json.dumps({**body, "digest": digest_of(body, tensors)})
    atomic.write(path, lambda temporary: _write(temporary, dict(tensors), {kind.key: text}))


def _write(path: str, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    try:
        save_file(tensors, path, metadata=metadata)
    except SafetensorError as error:  # a full disk, as safetensors tells it
        raise OSError(str(error)) from error


def read(
    kind: Kind, path: str | os.PathLike[str], build: Callable[[Json, Mapping[str, Tensor]], Read]
) -> Read:
    """What `build` makes of a file's contents; FileError if it is missing, damaged or foreign."""
    source = Path(path)
    if not source.is_file():
        raise FileError(f"{source} does not exist, or is no file")
    try:
        with safe_open(source, framework="pt") as opened:
            metadata = opened.metadata() or {}
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118  # it is no dict
    except (SafetensorError, OSError) as error:
        raise FileError(f"{source} is damaged or no .safetensors file: {error}") from error
    if kind.key not in metadata:
        raise FileError(f"{source} {kind.foreign}")
    try:
        body = json.loads(metadata[kind.key])
        _check(kind, body, tensors, source)
        return build(body, tensors)
    except FileError:
        raise
    except Exception as error:  # whatever a stranger's JSON can make of the code below
        raise FileError(f"{source} is damaged: {error}") from error


def _check(kind: Kind, body: Json, tensors: Mapping[str, Tensor], source: Path) -> None:
    if body.get("format") != kind.format:
        raise FileError(
            f"{source} has format {body.get('format')!r}; this zeropoint reads format "
            f"{kind.format}: {kind.again}, or install the version that wrote it"
        )
    digest = body.pop("digest")
    if digest != digest_of(body, tensors):
        raise FileError(f"{source} was altered: its contents do not match their digest")


def digest_of(body: Json, tensors: Mapping[str, Tensor]) -> str:
    """32 hexadecimal digits that other contents would not have."""
    digest = hashlib.blake2b(json.dumps(body, sort_keys=True).encode(), digest_size=16)
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
