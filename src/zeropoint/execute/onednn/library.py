"""oneDNN's C interface, called inside torch's own library: no second copy, no second thread pool.

torch ships oneDNN's header (`torch/include/oneapi/dnnl/dnnl.h`) and links oneDNN into
`libtorch_cpu.so`, but does not export it. The functions are in the library's symbol table all the
same: this file looks their addresses up there and declares them as the header does. Where that
fails (a stripped library, another system, another major version) `find_library` returns None, and
kernels go through `torch.ops.onednn`.

Why: torch's operator builds a descriptor, a hash and a dozen memory objects at every call, about
30 microseconds; a primitive that was made once is executed in 6.
"""

import ctypes
import mmap
import struct
from collections.abc import Callable
from ctypes import POINTER, c_float, c_int, c_int32, c_int64, c_size_t, c_uint, c_void_p
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

MAJOR = 3
HANDLE = POINTER(c_void_p)
DIMS = POINTER(c_int64)

SIGNATURES: dict[str, tuple[Any, ...]] = {
    "engine_create": (HANDLE, c_int, c_size_t),
    "stream_create": (HANDLE, c_void_p, c_uint),
    "memory_desc_create_with_strides": (HANDLE, c_int, DIMS, c_int, DIMS),
    "memory_desc_create_with_tag": (HANDLE, c_int, DIMS, c_int, c_int),
    "memory_desc_clone": (HANDLE, c_void_p),
    "memory_desc_destroy": (c_void_p,),
    "memory_create": (HANDLE, c_void_p, c_void_p, c_void_p),
    "memory_set_data_handle": (c_void_p, c_void_p),
    "memory_destroy": (c_void_p,),
    "primitive_attr_create": (HANDLE,),
    "primitive_attr_destroy": (c_void_p,),
    "primitive_attr_set_scales_mask": (c_void_p, c_int, c_int),
    "primitive_attr_set_zero_points_mask": (c_void_p, c_int, c_int),
    "primitive_attr_set_post_ops": (c_void_p, c_void_p),
    "primitive_attr_set_scratchpad_mode": (c_void_p, c_int),
    "post_ops_create": (HANDLE,),
    "post_ops_destroy": (c_void_p,),
    "post_ops_append_eltwise": (c_void_p, c_int, c_float, c_float),
    "post_ops_append_sum": (c_void_p, c_float, c_int32, c_int),
    "post_ops_append_binary": (c_void_p, c_int, c_void_p),
    "binary_primitive_desc_create": (HANDLE, c_void_p, c_int, *[c_void_p] * 4),
    "convolution_forward_primitive_desc_create": (
        HANDLE,
        c_void_p,
        c_int,
        c_int,
        *[c_void_p] * 4,
        *[DIMS] * 4,
        c_void_p,
    ),
    "deconvolution_forward_primitive_desc_create": (
        HANDLE,
        c_void_p,
        c_int,
        c_int,
        *[c_void_p] * 4,
        *[DIMS] * 4,
        c_void_p,
    ),
    "resampling_forward_primitive_desc_create": (HANDLE, c_void_p, c_int, c_int, *[c_void_p] * 4),
    "matmul_primitive_desc_create": (HANDLE, *[c_void_p] * 6),
    "pooling_forward_primitive_desc_create": (
        HANDLE,
        c_void_p,
        c_int,
        c_int,
        *[c_void_p] * 2,
        *[DIMS] * 5,
        c_void_p,
    ),
    "reorder_primitive_desc_create": (HANDLE, *[c_void_p] * 5),
    "primitive_desc_destroy": (c_void_p,),
    "primitive_create": (HANDLE, c_void_p),
    "primitive_destroy": (c_void_p,),
    "primitive_execute": (c_void_p, c_void_p, c_int, c_void_p),
}
"""Functions that return a status, without their prefix dnnl_."""


class OneDnnError(RuntimeError):
    """oneDNN refused; the status is as in dnnl_types.h (3: not implemented)."""


class Version(ctypes.Structure):
    """dnnl_version_t, as far as it is read."""

    _fields_ = (("major", c_int), ("minor", c_int), ("patch", c_int))


class Handle(c_void_p):
    """An object of oneDNN, which is destroyed with this."""

    destroy: Callable[[c_void_p], int] | None = None

    def __del__(self) -> None:
        if self.destroy is not None and self.value is not None:
            self.destroy(self)


class Library:
    """oneDNN's functions by name, and the one engine and stream that everything runs on."""

    def __init__(self, addresses: dict[str, int]) -> None:
        version = ctypes.CFUNCTYPE(POINTER(Version))(addresses["version"])().contents
        if version.major != MAJOR:
            raise OneDnnError(f"torch contains oneDNN {version.major}.{version.minor}")
        self._functions = {
            name: ctypes.CFUNCTYPE(c_int, *types)(addresses[name])
            for name, types in SIGNATURES.items()
        }
        self.execute = self._functions["primitive_execute"]
        # A pointer is set in no time: without giving up the interpreter's lock.
        set_data = ctypes.PYFUNCTYPE(c_int, c_void_p, c_void_p)
        self.set_data = set_data(addresses["memory_set_data_handle"])
        query = ctypes.CFUNCTYPE(c_void_p, c_void_p, c_int, c_int)
        self.query_md = query(addresses["primitive_desc_query_md"])
        self.md_size = ctypes.CFUNCTYPE(c_size_t, c_void_p)(addresses["memory_desc_get_size"])
        same = ctypes.CFUNCTYPE(c_int, c_void_p, c_void_p)
        self.md_equal = same(addresses["memory_desc_equal"])
        self.engine = self.create("engine", 1, 0)  # dnnl_cpu, the first
        self.stream = self.create("stream", self.engine, 1)  # in order

    def call(self, name: str, *arguments: Any) -> None:
        """dnnl_<name>(...); OneDnnError unless it succeeds."""
        status = self._functions[name](*arguments)
        if status != 0:
            raise OneDnnError(f"dnnl_{name} returned status {status}")

    def create(self, kind: str, *arguments: Any, by: str = "") -> Handle:
        """A new object; `by` names the function if it is not dnnl_<kind>_create."""
        handle = Handle()
        self.call(by or f"{kind}_create", ctypes.byref(handle), *arguments)
        handle.destroy = self._functions.get(f"{kind}_destroy")
        return handle


@cache
def find_library() -> Library | None:
    """oneDNN inside torch; None where it cannot be reached."""
    path = Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"
    others = {
        "version",
        "primitive_desc_query_md",
        "memory_desc_get_size",
        "memory_desc_equal",
    }
    try:
        base = _load_address(path)
        offsets = _symbols(path, [f"dnnl_{name}" for name in (*SIGNATURES, *others)])
        return Library({name.removeprefix("dnnl_"): base + at for name, at in offsets.items()})
    except (OSError, LookupError, ValueError, struct.error, OneDnnError):
        return None


def _load_address(path: Path) -> int:
    """Where the library's first byte is mapped as code or data of this process."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        fields = line.split(maxsplit=5)
        if len(fields) == 6 and fields[5] == str(path.resolve()) and fields[2].strip("0") == "":
            return int(fields[0].partition("-")[0], 16)
    raise LookupError(f"{path.name} is not mapped")


def _symbols(path: Path, names: list[str]) -> dict[str, int]:
    """The offsets of functions in an ELF library (64 bits); LookupError if one is missing."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as image:
        sections = _sections(image)
        table = next((section for section in sections if section["kind"] == 2), None)
        if image[:5] != b"\x7fELF\x02" or table is None:
            raise LookupError(f"{path.name} has no symbol table")
        names_section = sections[table["link"]]
        start = names_section["offset"]
        text = image[start : start + names_section["size"]]
        layout = np.dtype([("name", "<u4"), ("other", "<u4"), ("value", "<u8"), ("size", "<u8")])
        content = image[table["offset"] : table["offset"] + table["size"]]
    symbols = np.frombuffer(content, dtype=layout)
    return {name: _offset(symbols, text.find(b"\0" + name.encode() + b"\0")) for name in names}


def _sections(image: mmap.mmap) -> list[dict[str, int]]:
    (table,) = struct.unpack_from("<Q", image, 40)
    size, count = struct.unpack_from("<HH", image, 58)
    headers = [struct.unpack_from("<IIQQQQII", image, table + i * size) for i in range(count)]
    return [{"kind": h[1], "offset": h[4], "size": h[5], "link": h[6]} for h in headers]


def _offset(symbols: Any, at: int) -> int:
    found = symbols[symbols["name"] == at + 1] if at >= 0 else symbols[:0]
    if len(found) != 1:
        raise LookupError("a function is missing from the symbol table")
    return int(found["value"][0])
