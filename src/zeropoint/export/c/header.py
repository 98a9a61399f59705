"""model.h: what a caller has to know, and the numbers as macros."""

import textwrap
from collections.abc import Iterator

from zeropoint.export.c.codes import SIGNED_OFFSET, codes
from zeropoint.export.c.output_scale import OutputScale, output_scales
from zeropoint.export.c.routine import Port, Routine
from zeropoint.export.c.signature import macro, signature
from zeropoint.export.c.text import WIDTH, decimal, inside_comment, product
from zeropoint.version import VERSION

ROUNDINGS = {
    "double": "twice, half up and then half away from zero, as by gemmlowp and TFLite",
    "single": "once, half up",
}
INDENT, EQUATION = " " * 3, " " * 7


def header(routine: Routine, prefix: str) -> str:
    """The text of the file."""
    guard = f"{prefix.upper()}_H"
    scales = output_scales(routine, prefix)
    page = "\n\n".join(_paragraphs(routine, prefix, scales)).removeprefix(INDENT)
    return "\n".join(
        [
            f"/* {page} */",
            f"#ifndef {guard}",
            f"#define {guard}",
            "",
            "#include <stdint.h>",
            "",
            *_macros(routine, prefix, scales),
            "",
            "#ifdef __cplusplus",
            'extern "C" {',
            "#endif",
            "",
            *(f"extern const int32_t {s.name}[{len(s.mantissas)}];" for s in scales),
            f"{signature(routine, prefix)};",
            "",
            "#ifdef __cplusplus",
            "}",
            "#endif",
            "",
            "#endif",
            "",
        ]
    )


def _paragraphs(routine: Routine, prefix: str, scales: list[OutputScale]) -> Iterator[str]:
    model = inside_comment(routine.model)
    yield _wrapped(
        f"{model} as an integer network, in C99 without a float, by zeropoint {VERSION}. "
        f"What lives between its layers is in one static arena, so two calls of {prefix}_run must "
        "not overlap.",
        INDENT,
    )
    yield _wrapped(_ram(routine, prefix), INDENT)
    yield _wrapped(f"Constants: {_constant_bytes(routine, scales):,} bytes.", INDENT)
    yield _wrapped(f"Rounded {ROUNDINGS[routine.rounding]}.", INDENT)
    for port in routine.inputs:
        yield "\n".join(_input(port))
    for port in routine.outputs:
        scale = next((scale for scale in scales if scale.port is port), None)
        yield "\n".join(_output(port) if scale is None else _logits(port, scale))


def _ram(routine: Routine, prefix: str) -> str:
    outside = sum(port.bytes for port in (*routine.inputs, *routine.outputs))
    return (
        f"RAM: {routine.ram:,} bytes at most ({prefix.upper()}_RAM_SIZE), "
        f"{routine.memory.arena:,} of arena and {outside:,} of input and output."
    )


def _input(port: Port) -> Iterator[str]:
    grid, scale = codes(port.params), decimal(port.params.scale.item())
    yield f"{INDENT}{_shape(port)}: the real number r enters as q,"
    yield f"{EQUATION}q = clamp(round(r / {scale}) + {grid.zero}, {grid.low}, {grid.high})"
    yield f"{INDENT}where halves are rounded to even.{_offset(port)}"


def _output(port: Port) -> Iterator[str]:
    yield f"{INDENT}{_shape(port)}: q stands for the real number r,"
    zero = 0 if port.wide else codes(port.params).zero
    steps = f"(q - {zero})" if zero else "q"
    yield f"{EQUATION}r = {decimal(port.params.scale.item())} {steps}{_offset(port)}"


def _logits(port: Port, scale: OutputScale) -> Iterator[str]:
    numbers = ", ".join(decimal(s) for s in port.params.scale.tolist())
    yield f"{INDENT}{_shape(port)}: q stands for the real number r,"
    yield f"{EQUATION}r = s[c] q        c: the index along axis {port.params.axis}"
    yield _wrapped(f"s = {numbers}", EQUATION)
    yield _wrapped(
        f"Compare s[c] q of channels, not q: their scales differ. Without a float, s[c] is "
        f"{scale.name}[c] / 2^{scale.bits}, and (int64_t)q * {scale.name}[c] cannot overflow.",
        INDENT,
    )


def _offset(port: Port) -> str:
    if port.wide or not port.params.type.signed:
        return ""
    return f" (The program has {port.params.type} codes; these are {SIGNED_OFFSET} more.)"


def _shape(port: Port) -> str:
    return f"{port.name}, {product(port.shape)}, the last axis fastest"


def _wrapped(text: str, indent: str) -> str:
    return textwrap.fill(
        text, WIDTH - 3, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False
    )


def _constant_bytes(routine: Routine, scales: list[OutputScale]) -> int:
    sizes = {
        "weight_t": 1 if routine.weight_type == "int8_t" else 2,
        "int32_t": 4,
        "uint8_t": 1,
        "uint16_t": 2,
        "struct multiplier": 8,
        "struct range": 8,
        "struct tap": 12,
    }
    arrays = sum(len(array.elements) * sizes[array.type] for array in routine.arrays)
    return arrays + sum(4 * len(scale.mantissas) for scale in scales)


def _macros(routine: Routine, prefix: str, scales: list[OutputScale]) -> Iterator[str]:
    name = prefix.upper()
    yield f"#define {name}_RAM_SIZE {routine.ram}"
    yield f"#define {name}_ARENA_SIZE {routine.memory.arena}"
    for port in (*routine.inputs, *routine.outputs):
        yield f"#define {macro(port, prefix, 'SIZE')} {port.size}"
        if port.params.axis is None:
            yield f"#define {macro(port, prefix, 'SCALE')} {decimal(port.params.scale.item())}f"
        if not port.wide:
            yield f"#define {macro(port, prefix, 'ZERO_POINT')} {codes(port.params).zero}"
    for scale in scales:
        yield f"#define {macro(scale.port, prefix, 'SCALE_BITS')} {scale.bits}"
