import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from zeropoint.atomic import (
    bytes_saver,
    check_writable,
    write,
    write_bytes,
    write_text,
    write_together,
)
from zeropoint.errors import FileError

LEFT = ".zeropoint-0123456789abcdef.tmp"


@pytest.fixture(autouse=True)
def ordinary_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def test_text_goes_into_the_file_as_utf8(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "2 ≥ 0")
    assert (tmp_path / "a.txt").read_bytes() == "2 ≥ 0".encode()


def fail(temporary: str) -> None:
    Path(temporary).write_text("ne")
    raise OSError(28, "No space left on device")


def test_a_file_that_fails_halfway_leaves_the_old_one_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(FileError, match=r"a\.txt cannot be written: No space left on device"):
        write(path, fail)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_does_not_exist_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="cannot be written: No such file or directory"):
        write_text(tmp_path / "none" / "a.txt", "")


@pytest.mark.parametrize("name", ["nul\0byte", "n" * 400])
def test_a_name_that_no_file_can_have_is_told(tmp_path: Path, name: str) -> None:
    with pytest.raises(FileError, match="cannot be written: "):
        write_text(tmp_path / name, "")
    assert not list(tmp_path.iterdir())


# --- permissions and links -----------------------------------------------------------------------


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_a_new_file_has_the_permissions_that_the_umask_leaves(
    tmp_path: Path, umask: int, mode: int
) -> None:
    os.umask(umask)
    write_text(tmp_path / "a.txt", "")
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == mode


def test_a_file_keeps_the_permissions_of_the_one_that_it_replaces(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    path.chmod(0o640)
    write_text(path, "new")
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("new", 0o640)


def test_what_a_symbolic_link_points_to_is_replaced_and_the_link_stays(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    link, file = tmp_path / "link.txt", tmp_path / "there" / "a.txt"
    link.symlink_to(Path("there") / "a.txt")
    for text in ("first", "second"):
        write_text(link, text)
        assert link.is_symlink()
        assert file.read_text() == text
    assert list(file.parent.iterdir()) == [file]


def test_a_link_to_itself_is_told(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("a")
    with pytest.raises(FileError, match="cannot be written: Too many levels of symbolic links"):
        write_text(tmp_path / "a", "")


def test_what_is_no_ordinary_file_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/null")):
        for attempt in (lambda p: write_text(p, ""), check_writable):
            with pytest.raises(FileError, match="cannot be written: it is no ordinary file"):
                attempt(path)
    assert not Path("/dev/null").is_file()


def test_a_write_protected_file_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.txt").write_text("old")
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # as for anybody but root
    with pytest.raises(FileError, match="cannot be written: it is write-protected"):
        write_text(tmp_path / "a.txt", "new")
    assert (tmp_path / "a.txt").read_text() == "old"


# --- a full disk, a killed process ---------------------------------------------------------------


def child(code: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


FULL = """
import resource, signal, sys
from pathlib import Path
from zeropoint.atomic import write_text
from zeropoint.errors import FileError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    write_text(sys.argv[1], "x" * 5000)
except FileError as error:
    print(error)
"""


def test_a_file_that_grows_too_large_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    said, _ = child(FULL, str(path)).communicate(timeout=60)
    assert said.strip() == f"{path} cannot be written: File too large"
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


WAITING = """
import sys, time
from zeropoint.atomic import write
def save(temporary):
    print("writing", flush=True)
    time.sleep(60)
write(sys.argv[1], save)
"""


def test_what_a_killed_process_left_goes_with_the_next_file_written_there(tmp_path: Path) -> None:
    process = child(WAITING, str(tmp_path / "a.txt"))
    assert process.stdout is not None
    assert process.stdout.readline() == "writing\n"
    write_text(tmp_path / "b.txt", "")
    assert len(list(tmp_path.iterdir())) == 2  # that process lives, so its file is not touched
    process.send_signal(signal.SIGKILL)
    process.communicate()
    time.sleep(0.01)
    write_text(tmp_path / "b.txt", "")
    assert list(tmp_path.iterdir()) == [tmp_path / "b.txt"]


def test_nothing_but_ordinary_files_is_swept_away(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / LEFT)
    write_text(tmp_path / "a.txt", "")
    assert (tmp_path / LEFT).is_fifo()


# --- files that belong together ------------------------------------------------------------------


def test_files_are_written_together(tmp_path: Path) -> None:
    one, other = tmp_path / "a.bin", tmp_path / "a.xml"
    write_together([(one, bytes_saver(b"1")), (other, bytes_saver(b"2"))])
    assert (one.read_bytes(), other.read_bytes()) == (b"1", b"2")
    assert sorted(tmp_path.iterdir()) == [one, other]


def test_if_one_of_them_fails_all_are_as_they_were(tmp_path: Path) -> None:
    one, other = tmp_path / "a.bin", tmp_path / "a.xml"
    one.write_bytes(b"old")
    with pytest.raises(FileError, match=r"a\.xml cannot be written: No space left on device"):
        write_together([(one, bytes_saver(b"new")), (other, fail)])
    assert one.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [one]


@pytest.mark.parametrize("existed", [True, False])
def test_if_the_last_cannot_be_renamed_the_first_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, existed: bool
) -> None:
    one, other = tmp_path / "a.bin", tmp_path / "a.xml"
    other.write_bytes(b"old")
    if existed:
        one.write_bytes(b"old")
    rename = os.replace

    def refuse(source: str, target: Path) -> None:
        if target == other:
            raise OSError(5, "Input/output error")
        rename(source, target)

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(FileError, match=r"a\.xml cannot be written: Input/output error"):
        write_together([(one, bytes_saver(b"new")), (other, bytes_saver(b"new"))])
    found = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert found == ({"a.bin": b"old"} if existed else {}) | {"a.xml": b"old"}


# --- beforehand ----------------------------------------------------------------------------------


def test_what_could_not_be_written_is_told_beforehand(tmp_path: Path) -> None:
    check_writable(tmp_path / "a.txt", tmp_path / "b.txt")
    assert not list(tmp_path.iterdir())
    with pytest.raises(FileError, match="cannot be written: it is a folder"):
        check_writable(tmp_path / "a.txt", tmp_path)
    with pytest.raises(FileError, match=r"none/a\.txt cannot be written: No such file"):
        check_writable(tmp_path / "none" / "a.txt")


def test_bytes_are_written_as_they_are(tmp_path: Path) -> None:
    write_bytes(tmp_path / "a", b"\0\r\n")
    assert (tmp_path / "a").read_bytes() == b"\0\r\n"
