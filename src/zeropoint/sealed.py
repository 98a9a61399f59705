"""Tensors and JSON in one .safetensors file under a digest, and back. Nothing in it is executed.

    tensors    as they are
    metadata   under one key: JSON, with a format and a digest of all of it

A damaged byte anywhere changes the digest, and the file is refused. A digest is no signature: who
alters a file can renew it, so `build` takes nothing for granted.
"""

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import save, save_file
from torch import Tensor

from zeropoint import atomic
from zeropoint.container import DTYPES, Container, Json, container_of, content_of, parsed
from zeropoint.errors import FileError

Read = TypeVar("Read")
Build = Callable[[Json, Mapping[str, Tensor]], Read]
"""What a file's JSON and tensors are the form of; any exception means that they are none."""

BYTES = "what was given"
"""What errors call contents that are in no file."""


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
    metadata = _metadata(kind, path, body, tensors)
    atomic.write(path, lambda temporary: _write(temporary, dict(tensors), metadata))


def dumps(kind: Kind, body: Json, tensors: Mapping[str, Tensor]) -> bytes:
    """The bytes of such a file."""
    return save(dict(tensors), _metadata(kind, "it", body, tensors))


def read(kind: Kind, path: str | os.PathLike[str], build: Build[Read]) -> Read:
    """What `build` makes of a file's contents; FileError if it is missing, damaged or foreign."""
    return _built(kind, str(Path(path)), content_of(Path(path)), build)


def loads(kind: Kind, content: bytes, build: Build[Read]) -> Read:
    """The same of bytes that `dumps` has made."""
    return _built(kind, BYTES, bytearray(content), build)


def _metadata(
    kind: Kind, path: str | os.PathLike[str], body: Json, tensors: Mapping[str, Tensor]
) -> dict[str, str]:
    for name, tensor in tensors.items():
        if tensor.dtype not in DTYPES.values():
            raise FileError(f"{path} cannot be written: no file holds {name!r}, a {tensor.dtype}")
    body = {"format": kind.format, **body}
    return {kind.key: json.dumps({**body, "digest": digest_of(body, tensors)})}


def _write(path: str, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    try:
        save_file(tensors, path, metadata=metadata)
    except SafetensorError as error:  # a full disk, as safetensors tells it
        raise OSError(str(error)) from error


def _built(kind: Kind, source: str, content: bytearray, build: Build[Read]) -> Read:
    try:
        container = container_of(content)
    except Exception as error:  # whatever a stranger's bytes can make of the code below
        raise FileError(f"{source} is damaged or no .safetensors file: {error}") from error
    if kind.key not in container.metadata:
        raise FileError(f"{source} {kind.foreign}")
    try:
        return build(_body(kind, container, source), container.tensors)
    except FileError:
        raise
    except Exception as error:  # whatever a stranger's JSON can make of the code below
        raise FileError(f"{source} is damaged: {error or type(error).__name__}") from error


def _body(kind: Kind, container: Container, source: str) -> Json:
    """The JSON, without its format and its digest."""
    body = parsed(container.metadata[kind.key])
    if not isinstance(body, dict):
        raise ValueError("its JSON is no body")
    if body.get("format") != kind.format:
        raise FileError(
            f"{source} has format {body.get('format')!r}; this zeropoint reads format "
            f"{kind.format}: {kind.again}, or install the version that wrote it"
        )
    if "digest" not in body:
        raise ValueError("it has no digest")
    if body.pop("digest") != digest_of(body, container.tensors):
        raise FileError(f"{source} was altered: its contents do not match their digest")
    del body["format"]
    return body


def digest_of(body: Json, tensors: Mapping[str, Tensor]) -> str:
    """32 hexadecimal digits that other contents would not have."""
    digest = hashlib.blake2b(json.dumps(body, sort_keys=True).encode(), digest_size=16)
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
