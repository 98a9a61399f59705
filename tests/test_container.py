import json
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save

from zeropoint import container
from zeropoint.container import DTYPES, MOST_DEPTH, container_of, content_of, parsed
from zeropoint.errors import FileError

EVERY_TYPE = {str(dtype): torch.ones(3, dtype=dtype) for dtype in DTYPES.values()}


def test_every_type_of_tensor_and_every_text_comes_back() -> None:
    tensors = {**EVERY_TYPE, "empty": torch.empty(0, 3), "scalar": torch.tensor(2.0)}
    found = container_of(bytearray(save(tensors, {"a": "b"})))
    assert found.metadata == {"a": "b"}
    assert found.tensors.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert found.tensors[name].dtype == tensor.dtype
        assert torch.equal(found.tensors[name], tensor)


def assembled(header: object, data: bytes = b"") -> bytearray:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return bytearray(struct.pack("<Q", len(text)) + text + data)


def entry(dtype: str = "U8", shape: Any = (4,), offsets: Any = (0, 4)) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


def test_tensors_are_aligned_wherever_a_file_has_put_them() -> None:
    header = {"a": entry(shape=(1,), offsets=(0, 1)), "b": entry("F32", (1,), (1, 5))}
    tensors = container_of(assembled(header, b"\0" * 5)).tensors
    assert tensors["b"].data_ptr() % 4 == 0


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (bytearray(), "it has no header"),
        (bytearray(8), "it has no header"),
        (bytearray(b"\xff" * 64), "it has no header"),
        (assembled([]), "its header is no list of tensors"),
        (assembled(b"\xff\xfe{}"), "utf-8"),
        (assembled(b'{"a": 1, "a": 1}'), "one key twice"),
        (assembled(b'{"a": NaN}'), "NaN"),
        (assembled({"__metadata__": {"a": 1}}), "its metadata are no texts"),
        (assembled({"__metadata__": 1}), "its metadata are no texts"),
        (assembled({"a": 1}), "no dtype, shape and place"),
        (assembled({"a": {**entry(), "more": 1}}, bytes(4)), "no dtype, shape and place"),
        (assembled({"a": entry("F8")}, bytes(4)), "of a type 'F8' that is not read here"),
        (assembled({"a": entry(dtype=[])}, bytes(4)), "of a type"),  # type: ignore[arg-type]  # so is the file
        (assembled({"a": entry(shape=(-1,))}, bytes(4)), "no shape or no place"),
        (assembled({"a": entry(shape=(4.0,))}, bytes(4)), "no shape or no place"),
        (assembled({"a": entry(shape=(True,))}, bytes(4)), "no shape or no place"),
        (assembled({"a": entry(shape=4)}, bytes(4)), "no shape or no place"),
        (assembled({"a": entry(offsets=(0, 4, 4))}, bytes(4)), "no shape or no place"),
        (assembled({"a": entry(shape=(3,))}, bytes(4)), "does not fill its place"),
        (assembled({"a": entry(shape=[1] * 100 + [4])}, bytes(4)), "does not fill its place"),
        (assembled({"a": entry(shape=[2**61] * 9, offsets=(0, 0))}), "does not fill its place"),
        (assembled({"a": entry()}, bytes(5)), "do not fill it"),
        (assembled({"a": entry()}, bytes(3)), "do not fill it"),
        (assembled({"a": entry(offsets=(1, 5))}, bytes(5)), "do not fill it"),
        (assembled({"a": entry(), "b": entry()}, bytes(4)), "do not fill it"),
        (assembled({"a": entry("BOOL")}, b"\0\1\2\3"), "neither true nor false"),
    ],
)
def test_what_is_no_container_is_told(content: bytearray, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        container_of(content)


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_in_words(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        container_of(bytearray(content))


def test_json_may_hold_infinities_but_is_not_nested_without_end() -> None:
    assert parsed("[-Infinity, Infinity]") == [float("-inf"), float("inf")]
    assert parsed("[" * MOST_DEPTH + "]" * MOST_DEPTH)
    for depth in (MOST_DEPTH + 1, 100_000):
        with pytest.raises(ValueError, match="nested too deeply"):
            parsed("[" * depth + "]" * depth)


# --- files ---------------------------------------------------------------------------------------


def test_a_file_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"content")
    assert content_of(tmp_path / "a") == b"content"


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo, lambda path: None])
def test_what_is_no_file_is_told_without_waiting(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    make(tmp_path / "a")
    with pytest.raises(FileError, match="does not exist, or is no file"):
        content_of(tmp_path / "a")


@pytest.mark.parametrize("path", ["/dev/zero", "nul\0byte", "/dev/null/a"])
def test_devices_and_impossible_names_are_no_files(path: str) -> None:
    with pytest.raises(FileError, match="does not exist, or is no file"):
        content_of(Path(path))


def test_a_file_that_does_not_fit_into_memory_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(size: int) -> bytearray:
        raise MemoryError

    (tmp_path / "a").touch()
    monkeypatch.setattr(container, "bytearray", full, raising=False)
    with pytest.raises(FileError, match="cannot be read: it does not fit into memory"):
        content_of(tmp_path / "a")


def test_a_file_that_changes_while_it_is_read_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_bytes(b"content")
    read = container._read

    def growing(file: Any, content: bytearray) -> int:
        (tmp_path / "a").write_bytes(b"other content")
        return read(file, content)

    monkeypatch.setattr(container, "_read", growing)
    with pytest.raises(FileError, match="changed while it was read; read it again"):
        content_of(tmp_path / "a")


def test_what_happens_to_a_file_afterwards_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(save({"a": torch.arange(10_000)}))
    tensors = container_of(content_of(path)).tensors
    os.truncate(path, 0)
    assert tensors["a"].sum() == 49_995_000
