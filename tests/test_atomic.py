from pathlib import Path

import pytest

from zeropoint.atomic import check_writable, write, write_text
from zeropoint.errors import FileError


def test_text_goes_into_the_file_as_utf8(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "2 ≥ 0")
    assert (tmp_path / "a.txt").read_bytes() == "2 ≥ 0".encode()


def test_a_file_that_fails_halfway_leaves_the_old_one_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail(temporary: str) -> None:
        Path(temporary).write_text("ne")
        raise OSError(28, "No space left on device")

    with pytest.raises(FileError, match=r"a\.txt cannot be written: No space left on device"):
        write(path, fail)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_does_not_exist_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="cannot be written: No such file or directory"):
        write_text(tmp_path / "none" / "a.txt", "")


def test_others_may_read_the_file(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "")
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o644


def test_what_could_not_be_written_is_told_beforehand(tmp_path: Path) -> None:
    check_writable(tmp_path / "a.txt", tmp_path / "b.txt")
    assert not list(tmp_path.iterdir())
    with pytest.raises(FileError, match="cannot be written: it is a folder"):
        check_writable(tmp_path / "a.txt", tmp_path)
    with pytest.raises(FileError, match=r"none/a\.txt cannot be written: No such file"):
        check_writable(tmp_path / "none" / "a.txt")
