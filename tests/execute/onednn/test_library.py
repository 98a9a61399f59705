"""oneDNN inside torch: found, or done without."""

import ctypes
from ctypes import c_void_p
from pathlib import Path

import pytest
import torch

from tests.conformance.draft import Draft
from zeropoint.arithmetic.integer import UINT8
from zeropoint.arithmetic.qparams import per_tensor
from zeropoint.execute.onednn import OneDnn, executor, library, why_unusable
from zeropoint.execute.onednn.descriptors import c_array
from zeropoint.execute.onednn.library import Handle, Library, OneDnnError, find_library
from zeropoint.execute.reference import Reference
from zeropoint.ops.conv import Conv2d

BY_STRIDES = "memory_desc_create_with_strides"
GRID = per_tensor(0.0173, 100, UINT8)


@pytest.fixture
def found() -> Library:
    library = find_library()
    if library is None:
        pytest.skip("this torch does not show oneDNN's functions")
    return library


def look_again() -> Library | None:
    """What a process would find that has not looked yet."""
    return find_library.__wrapped__()


def test_there_is_one_library_a_process(found: Library) -> None:
    assert find_library() is found


def test_an_object_is_destroyed_with_the_last_that_refers_to_it(found: Library) -> None:
    destroyed: list[int] = []

    def descriptor() -> Handle:
        handle = found.create("memory_desc", 1, c_array([3]), 5, c_array([1]), by=BY_STRIDES)
        destroy = handle.destroy
        assert destroy is not None

        def counted(which: c_void_p) -> int:
            destroyed.append(destroy(which))
            return destroyed[-1]

        handle.destroy = counted
        return handle

    first, second = descriptor(), descriptor()
    also = first
    del first, second
    assert destroyed == [0]
    del also
    assert destroyed == [0, 0]


def test_a_refused_call_is_an_error_with_its_status(found: Library) -> None:
    with pytest.raises(OneDnnError, match="dnnl_memory_desc_create_with_tag returned status 2"):
        # 99 dimensions are more than oneDNN knows.
        found.create("memory_desc", 99, None, 5, 1, by="memory_desc_create_with_tag")


def test_what_was_made_can_be_asked_for_its_size(found: Library) -> None:
    sizes, strides = (ctypes.c_int64 * 2)(3, 4), (ctypes.c_int64 * 2)(4, 1)
    description = found.create(
        "memory_desc", 2, sizes, 5, strides, by="memory_desc_create_with_strides"
    )
    assert found.md_size(description) == 12


def test_another_major_version_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "MAJOR", 2)
    assert look_again() is None


def test_a_function_that_is_missing_is_enough_to_do_without(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(library.SIGNATURES, "primitive_execute_in_the_cloud", ())
    assert look_again() is None


@pytest.mark.parametrize("content", [b"", b"MZ\x90\x00" * 100, b"\x7fELF\x02" + bytes(200)])
def test_a_file_that_is_no_such_library_is_done_without(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lib = tmp_path / "lib" / "libtorch_cpu.so"
    lib.parent.mkdir()
    lib.write_bytes(content)
    monkeypatch.setattr(torch, "__file__", str(tmp_path / "__init__.py"))
    monkeypatch.setattr(library, "_load_address", lambda path: 0)
    assert look_again() is None


def test_a_library_that_is_not_loaded_is_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "__file__", str(tmp_path / "__init__.py"))
    assert look_again() is None


@pytest.mark.skipif(why_unusable() is not None, reason=str(why_unusable()))
def test_without_the_library_kernels_go_through_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor, "find_library", lambda: None)
    draft = Draft(seed=0)
    x = draft.activation((2, 3, 6, 6), GRID)
    case = draft.case(draft.layer(Conv2d(), x, (4, 3, 3, 3), None))
    found, expected = (
        OneDnn(case.program).run(case.inputs),
        Reference(case.program).run(case.inputs),
    )
    torch.testing.assert_close(found, expected)
