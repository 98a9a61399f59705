"""Statistics in one .safetensors file, and back. Nothing in the file is executed.

    tensors    as they are
    metadata   "zeropoint.statistics": JSON, with a format and a digest of all of it

A damaged byte anywhere changes the digest, and the file is refused.
"""

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from zeropoint import atomic
from zeropoint.errors import FileError

FORMAT = 1
KEY = "zeropoint.statistics"
Json = Any  # nested lists, dicts, strings, numbers
Read = TypeVar("Read")


def write(path: str | os.PathLike[str], body: Json, tensors: Mapping[str, Tensor]) -> None:
    """Write a temporary file, then rename it: an old file stays whole until then.

    FileError, with nothing left behind, if it cannot be written.
    """
    body = {"format": FORMAT, **body}
    text = json.dumps({**body, "digest": _digest(body, tensors)})
    atomic.write(path, lambda temporary: _write(temporary, dict(tensors), text))


def _write(path: str, tensors: dict[str, Tensor], text: str) -> None:
    try:
        save_file(tensors, path, metadata={KEY: text})
    except SafetensorError as error:  # a full disk, as safetensors tells it
        raise OSError(str(error)) from error


def read(path: str | os.PathLike[str], build: Callable[[Json, Mapping[str, Tensor]], Read]) -> Read:
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
    if KEY not in metadata:
        raise FileError(
            f"{source} holds no statistics of zeropoint; "
            "write some with zp.observe(model, loader).save(path)"
        )
    try:
        body = json.loads(metadata[KEY])
        _check(body, tensors, source)
        return build(body, tensors)
    except FileError:
        raise
    except Exception as error:  # whatever a stranger's JSON can make of the code below
        raise FileError(f"{source} is damaged: {error}") from error


def _check(body: Json, tensors: Mapping[str, Tensor], source: Path) -> None:
    if body.get("format") != FORMAT:
        raise FileError(
            f"{source} has format {body.get('format')!r}; this zeropoint reads format {FORMAT}: "
            "observe again, or install the version that wrote it"
        )
    digest = body.pop("digest")
    if digest != _digest(body, tensors):
        raise FileError(f"{source} was altered: its contents do not match their digest")


def _digest(body: Json, tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.blake2b(json.dumps(body, sort_keys=True).encode(), digest_size=16)
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
