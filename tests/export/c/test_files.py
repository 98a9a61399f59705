"""The two files as a user gets them: written together, included, compiled and called."""

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.export.c.compiled import COMPILERS, SANITIZERS, WARNINGS, compiler
from tests.export.c.test_routine import LeNet, program_of
from tests.nets import Residual, images
from zeropoint.arithmetic.requantize import FixedPoint
from zeropoint.errors import FileError
from zeropoint.execute.reference import Reference
from zeropoint.export import export
from zeropoint.export.c.files import write_pair
from zeropoint.program.program import Program

MAIN = """
#include <stdio.h>
#include "LeNet-5.h"

int main(void)
{
    static uint8_t input[LENET_5_INPUT_SIZE];
    static int32_t output[LENET_5_OUTPUT_SIZE];
    while (fread(input, sizeof input, 1, stdin) == 1) {
        LeNet_5_run(input, output);
        if (fwrite(output, sizeof output, 1, stdout) != 1) {
            return 1;
        }
    }
    return 0;
}
"""


def reference(program: Program, x: Tensor) -> tuple[Tensor, Tensor]:
    """The codes of the images and the accumulators of the logits."""
    seen: dict[str, Tensor] = {}
    Reference(program, FixedPoint("double")).trace([x], seen.__setitem__)
    fence = program.graph.producers[program.graph.outputs[0]]
    return seen[program.graph.users[program.graph.inputs[0]][0].output], seen[fence.inputs[0]]


@pytest.mark.parametrize("name", COMPILERS)
def test_an_exported_lenet_gives_the_logits_of_the_reference(name: str, tmp_path: Path) -> None:
    command = [compiler(name), *WARNINGS, "-Wconversion", *SANITIZERS]
    x = images(4, size=32)
    program = program_of(LeNet(24, 16), x)
    export(program, tmp_path / "LeNet-5.c", input_shapes=[(1, 3, 32, 32)])
    (tmp_path / "main.c").write_text(MAIN)
    files = ["LeNet-5.c", "main.c"]
    built = subprocess.run([*command, *files, "-o", "run"], cwd=tmp_path, capture_output=True)
    assert built.returncode == 0, built.stderr.decode()[:3000]
    codes, logits = reference(program, x)
    done = subprocess.run([tmp_path / "run"], input=codes.numpy().tobytes(), capture_output=True)
    assert done.returncode == 0, done.stderr.decode()[:3000]
    found = torch.from_numpy(np.frombuffer(done.stdout, np.int32).copy())
    assert torch.equal(found.reshape(logits.shape), logits)


@pytest.fixture
def program() -> Program:
    return program_of(Residual(), images(4))


def test_the_code_has_no_float_and_no_library_but_memcpy(program: Program, tmp_path: Path) -> None:
    export(program, tmp_path / "net.c", input_shapes=[(1, 3, 8, 8)])
    flags = ["-std=c99", "-mgeneral-regs-only", "-ffreestanding", "-c", "net.c", "-o", "net.o"]
    # Without registers for floats, gcc refuses any of them.
    subprocess.run([compiler("gcc"), *flags], cwd=tmp_path, check=True)
    symbols = subprocess.run(["nm", "net.o"], cwd=tmp_path, capture_output=True, check=True).stdout
    missing = re.findall(r"^ +U (\w+)$", symbols.decode(), re.MULTILINE)
    assert set(missing) <= {"memcpy", "memset", "_GLOBAL_OFFSET_TABLE_"}
    text = (tmp_path / "net.c").read_text()
    assert set(re.findall(r"#include (.*)", text)) == {'"net.h"'}
    assert set(re.findall(r"#include (.*)", (tmp_path / "net.h").read_text())) == {"<stdint.h>"}


def test_the_same_program_gives_the_same_files(program: Program, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        export(program, tmp_path / name / "net.c", input_shapes=[(1, 3, 8, 8)])
    for name in ("net.c", "net.h"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_lines_are_not_longer_than_100_columns(program: Program, tmp_path: Path) -> None:
    export(program, tmp_path / "net.c", input_shapes=[(1, 3, 8, 8)])
    for name in ("net.c", "net.h"):
        assert max(map(len, (tmp_path / name).read_text().splitlines())) <= 100


def test_both_files_are_written_or_none(tmp_path: Path) -> None:
    first, second = tmp_path / "net.c", tmp_path / "net.h"
    second.write_text("old")
    first.mkdir()
    with pytest.raises(FileError, match=r"net\.c cannot be written: it is a folder"):
        write_pair(first, "new", second, "new")
    assert second.read_text() == "old"
    with pytest.raises(FileError, match=r"cannot be written"):
        write_pair(tmp_path / "no" / "net.c", "new", tmp_path / "no" / "net.h", "new")


def test_an_old_header_comes_back_if_the_code_cannot_be_written(tmp_path: Path) -> None:
    for before in ("old", None):
        second = tmp_path / "net.h"
        second.unlink(missing_ok=True)
        if before is not None:
            second.write_text(before)
        with pytest.raises(FileError):
            write_pair(tmp_path / "no" / "net.c", "new", second, "new")
        assert (second.read_text() if second.exists() else None) == before
