"""A program as C99: `model.c` and `model.h`, for microcontrollers and for reading.

    void model_run(const uint8_t input[MODEL_INPUT_SIZE], int32_t output[MODEL_OUTPUT_SIZE]);

Integers only, equal to `Reference(program, FixedPoint(rounding))` to the bit. Tensors are NCHW, as
in the program: a flatten is nothing, and inputs and outputs lie in memory as they do in PyTorch.

    sample.py     shapes and multipliers, from the operators themselves
    steps.py      nodes -> calls of the functions in operators/*.c
    memory.py     where each value lives; arena.py packs those in between
    source.py     model.c
    header.py     model.h
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from zeropoint.arithmetic.fixed_point import Rounding
from zeropoint.export.c.files import write_pair
from zeropoint.export.c.header import header
from zeropoint.export.c.refusal import refusal_of, sample_shapes
from zeropoint.export.c.routine import routine
from zeropoint.export.c.sample import Shape
from zeropoint.export.c.source import source
from zeropoint.export.c.text import prefix_of
from zeropoint.export.format import Format
from zeropoint.program.program import Program


def refusal(
    program: Program,
    *,
    rounding: Rounding = "double",
    input_shapes: Sequence[Sequence[int]] | None = None,
) -> str | None:
    """The layer that C cannot carry and why, or what is wrong with the options."""
    if rounding not in get_args(Rounding):
        return f"rounding={rounding!r}; use one of {', '.join(map(repr, get_args(Rounding)))}"
    return refusal_of(program, _tuples(input_shapes))


def write(program: Program, path: str | os.PathLike[str], **options: Any) -> None:
    """Write path and, beside it, the header of the same name: both or neither."""
    _write(program, Path(path), **options)


def _write(
    program: Program,
    path: Path,
    rounding: Rounding = "double",
    input_shapes: Sequence[Sequence[int]] | None = None,
) -> None:
    shapes = _tuples(input_shapes) or sample_shapes(program)
    assert shapes is not None  # refusal() says so
    found = routine(program, shapes, rounding)
    prefix = prefix_of(path.stem)
    text = source(found, prefix, path.with_suffix(".h").name)
    write_pair(path, text, path.with_suffix(".h"), header(found, prefix))


def _tuples(shapes: Sequence[Sequence[int]] | None) -> tuple[Shape, ...] | None:
    return None if shapes is None else tuple(tuple(shape) for shape in shapes)


FORMAT = Format("C99", ".c", refusal, write, options=("rounding", "input_shapes"))
