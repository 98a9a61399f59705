"""Routines compiled with every warning and sanitizer on, and run on integers.

Many routines become one program: what they share is defined once, and one run of the compiler does
for all of them. Inputs and outputs are of the exact size and from malloc, so that the address
sanitizer sees a step beyond them.
"""

import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import SearchStrategy
from torch import Tensor

from tests.conformance.draft import Case
from zeropoint.arithmetic.fixed_point import Rounding
from zeropoint.arithmetic.requantize import FixedPoint
from zeropoint.execute.reference import Reference
from zeropoint.export.c.codes import codes
from zeropoint.export.c.header import header
from zeropoint.export.c.routine import Port, Routine, routine
from zeropoint.export.c.source import body, preamble
from zeropoint.graph.graph import Graph
from zeropoint.ops.clamp import Clamp
from zeropoint.program.program import Program

COMPILERS = ("gcc", "clang")
ROUNDINGS: tuple[Rounding, ...] = ("single", "double")
WARNINGS = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic")
SANITIZERS = ("-g", "-fsanitize=undefined,address", "-fno-sanitize-recover=all")


def compiler(name: str) -> str:
    """The compiler's path; the test is skipped where there is none, or it cannot sanitize."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"there is no {name} here")
    if not _sanitizes(path):
        pytest.skip(f"{name} here has no sanitizers (clang: install libclang-rt-14-dev)")
    return path


@cache
def _sanitizes(path: str) -> bool:
    command = [path, *SANITIZERS, "-x", "c", "-", "-o", "/dev/null"]
    return (
        subprocess.run(command, input=b"int main(void) { return 0; }", check=False).returncode == 0
    )


@dataclass(frozen=True)
class Trial:
    """A routine, the codes that go in, and those that have to come out."""

    title: str
    routine: Routine
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


def trial(program: Program, inputs: Sequence[Tensor], rounding: Rounding, title: str = "") -> Trial:
    """What the reference makes of the inputs."""
    seen: dict[str, Tensor] = {}
    Reference(program, FixedPoint(rounding)).trace(inputs, seen.__setitem__)
    found = routine(program, [tuple(x.shape) for x in inputs], rounding)
    expected = [_integers(seen, program.graph, port) for port in found.outputs]
    entering = tuple(_stored(seen[port.value], port) for port in found.inputs)
    return Trial(title, found, entering, tuple(expected))


def _integers(seen: dict[str, Tensor], graph: Graph, port: Port) -> Tensor:
    """The integers behind an output; those of a ReLU on real numbers are ReLU's of theirs."""
    node = graph.producers[port.value]
    if isinstance(node.op, Clamp):
        return seen[graph.producers[node.inputs[0]].inputs[0]].clamp(min=0)
    return _stored(seen[node.inputs[0]], port)


def _stored(q: Tensor, port: Port) -> Tensor:
    return q if port.wide else (q.to(torch.int32) + codes(port.params).offset).to(torch.uint8)


def check(trials: Sequence[Trial], compiler: str, folder: Path) -> None:
    """Every trial's outputs are the expected ones, to the bit, and no sanitizer complains."""
    program = build(_text(trials), compiler, folder, (*WARNINGS, *SANITIZERS))
    entering = b"".join(x.contiguous().numpy().tobytes() for t in trials for x in t.inputs)
    done = subprocess.run([program], input=entering, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()[:3000]
    found = np.frombuffer(done.stdout, np.uint8)
    for each in trials:
        for expected in each.outputs:
            size = expected.numel() * expected.element_size()
            ours = torch.from_numpy(found[:size].copy()).view(expected.dtype)
            found = found[size:]
            assert torch.equal(ours, expected.flatten()), each.title
    assert not found.size


def build(text: str, compiler: str, folder: Path, flags: Iterable[str]) -> Path:
    """The program made of one file of C."""
    source, program = folder / "trials.c", folder / "trials"
    source.write_text(text)
    done = subprocess.run(
        [compiler, *flags, str(source), "-o", str(program)], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()[:3000]
    return program


def _text(trials: Sequence[Trial]) -> str:
    routines = [each.routine for each in trials]
    lines = [header(each, f"t{i}") for i, each in enumerate(routines)]
    lines += preamble(routines)
    for i, each in enumerate(routines):
        lines += body(each, f"t{i}")
    return "\n".join([*lines, *_main(routines)])


def _main(routines: Sequence[Routine]) -> Iterable[str]:
    """Reads the inputs of each routine from stdin, and writes its outputs to stdout."""
    yield "#include <stdio.h>\n#include <stdlib.h>\nint main(void)\n{"
    for i, each in enumerate(routines):
        yield "    {"
        for port in (*each.inputs, *each.outputs):
            yield f"        void *{port.name} = malloc({port.bytes});"
        for port in each.inputs:
            yield f"        if (fread({port.name}, {port.bytes}, 1, stdin) != 1) return 1;"
        names = [port.name for port in (*each.inputs, *each.outputs)]
        yield f"        t{i}_run({', '.join(names)});"
        for port in each.outputs:
            yield f"        if (fwrite({port.name}, {port.bytes}, 1, stdout) != 1) return 1;"
        yield from (f"        free({name});" for name in names)
        yield "    }"
    yield "    return 0;\n}\n"


def examples(strategy: SearchStrategy[Case], count: int) -> list[Case]:
    """The first examples that hypothesis draws, the same in every run."""
    found: list[Case] = []

    @settings(
        max_examples=count,
        phases=[Phase.generate],
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(case: Case) -> None:
        found.append(case)

    collect()
    return found
