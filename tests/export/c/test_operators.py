"""Every operator in C, beside the reference: the cases of the conformance suite, to the bit."""

import re
import subprocess
from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.arithmetic.test_fixed_point import edge_values, random_values
from tests.conformance.cases import CASES
from tests.conformance.draft import Case
from tests.conformance.suite import operator
from tests.export.c.compiled import (
    COMPILERS,
    ROUNDINGS,
    SANITIZERS,
    WARNINGS,
    Trial,
    build,
    check,
    compiler,
    examples,
    trial,
)
from zeropoint.arithmetic.fixed_point import (
    Multiplier,
    Rounding,
    multiply,
    rounding_shift,
    saturate,
)
from zeropoint.export.c import refusal
from zeropoint.export.c.operators import definitions

EXAMPLES = 12
NOT_IN_C = {
    "batch_norm", "opaque", "pad_with", "adaptive_max_pool", "conv3d", "conv_transpose3d",
    "max_pool3d", "average_pool3d", "adaptive_average_pool3d",
}  # fmt: skip
"""Islands, and what has no C yet."""


@cache
def cases(title: str) -> tuple[Case, ...]:
    return tuple(examples(CASES[title], EXAMPLES))


@cache
def trials(rounding: Rounding) -> list[Trial]:
    return [
        trial(case.program, case.inputs, rounding, f"{title}: {case}")
        for title in CASES
        if operator(title) not in NOT_IN_C
        for case in cases(title)
        if refusal(case.program, input_shapes=[x.shape for x in case.inputs]) is None
    ]


@pytest.mark.parametrize("title", CASES)
def test_an_operator_is_written_in_c_or_named_by_the_refusal(title: str) -> None:
    refusals = [
        refusal(case.program, input_shapes=[x.shape for x in case.inputs]) for case in cases(title)
    ]
    if operator(title) in NOT_IN_C:
        assert None not in refusals
    else:
        assert None in refusals


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("name", COMPILERS)
def test_every_operator_gives_the_integers_of_the_reference(
    name: str, rounding: Rounding, tmp_path: Path
) -> None:
    check(trials(rounding), compiler(name), tmp_path)


@pytest.mark.parametrize("name", COMPILERS)
def test_the_products_are_those_of_fixed_point_for_gemmlowp_s_values(
    name: str, tmp_path: Path
) -> None:
    values = torch.tensor(edge_values() + random_values(), dtype=torch.int32)
    mantissas = [2**30, 2**30 + 1, 1_518_500_250, 2**31 - 1]
    triples = torch.cartesian_prod(
        values,
        torch.tensor(mantissas, dtype=torch.int32),
        torch.tensor([-31, -30, -7, -1, 0, 1, 7, 30], dtype=torch.int32),
    )
    by = Multiplier(triples[:, 1].to(torch.int64), triples[:, 2].to(torch.int64))
    fine = saturate(multiply(triples[:, 0], by, "single"))
    expected = [
        multiply(triples[:, 0], by, "single"),
        multiply(triples[:, 0], by, "double"),
        (rounding_shift(fine + fine, torch.tensor(16)) + 7).clamp(3, 200),
    ]
    functions = definitions(["multiply_double", "requantize_sum"], "double", "int8_t")
    text = "\n".join(["#include <stdint.h>", *functions, PRODUCTS])
    program = build(text, compiler(name), tmp_path, (*WARNINGS, *SANITIZERS))
    done = subprocess.run(
        [program], input=triples.numpy().tobytes(), capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    found = torch.from_numpy(np.frombuffer(done.stdout, np.int64).copy())
    assert torch.equal(found.reshape(-1, 3), torch.stack(expected, 1))


PRODUCTS = """
#include <stdio.h>
int main(void)
{
    const struct grid grid = {7, 3, 200};
    int32_t in[3];
    while (fread(in, sizeof in, 1, stdin) == 1) {
        const struct multiplier m = {in[1], in[2]};
        int64_t out[3];
        out[0] = multiply_single(in[0], m);
        out[1] = multiply_double(in[0], m);
        out[2] = requantize_sum(in[0], m, in[0], m, &grid);
        if (fwrite(out, sizeof out, 1, stdout) != 1) return 1;
    }
    return 0;
}
"""


def test_a_definition_comes_after_what_it_uses() -> None:
    texts = definitions(["conv2d"], "double", "int8_t")
    names = ["struct grid {", "shift_half_up(", "multiply_double(", "requantize(", "conv2d("]
    firsts = [next(i for i, text in enumerate(texts) if name in text) for name in names]
    assert firsts == sorted(firsts)
    assert texts[-1].startswith("/* Convolution onto a grid. */\nstatic void conv2d(")


def test_nothing_is_defined_that_is_not_used() -> None:
    texts = "".join(definitions(["clamp"], "single", "int8_t"))
    assert "struct bounds" in texts
    assert "multiply" not in texts


def test_every_file_defines_what_it_is_named_after_and_knows_no_float() -> None:
    names = [f.name for f in (files("zeropoint.export.c") / "operators").iterdir() if f.is_file()]
    for name in (file.removesuffix(".c") for file in names):
        text = definitions([name], "single", "int8_t")[-1]
        assert f"struct {name} {{" in text or f" {name}(" in text
        assert all(len(line) <= 100 for line in text.splitlines())
        assert not re.search(r"\b(float|double)\b", text)
