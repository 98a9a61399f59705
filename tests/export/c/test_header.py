"""model.h as it reads."""

from tests.conformance.draft import Draft
from zeropoint.arithmetic.integer import INT8, UINT8
from zeropoint.arithmetic.qparams import per_tensor
from zeropoint.export.c.header import header
from zeropoint.export.c.routine import routine
from zeropoint.export.c.text import decimal
from zeropoint.ops.clamp import Clamp
from zeropoint.ops.linear import Linear
from zeropoint.ops.pool import MaxPool2d
from zeropoint.version import VERSION


def test_a_header_says_what_a_caller_has_to_know() -> None:
    draft = Draft(0)
    x = draft.activation((1, 2, 4, 4), per_tensor(0.05, 100, UINT8))
    pooled = draft.emit(MaxPool2d((2, 2), (2, 2)), x, params=x.params)
    y = draft.emit(Clamp(0.0), pooled, params=x.params)
    text = header(routine(draft.case(y).program, [(1, 2, 4, 4)], "single"), "net")
    assert (
        text
        == f"""\
/* a model as an integer network, in C99 without a float, by zeropoint {VERSION}. What lives between
   its layers is in one static arena, so two calls of net_run must not overlap.

   RAM: 40 bytes at most (NET_RAM_SIZE), 0 of arena and 40 of input and output.

   Constants: 0 bytes.

   Rounded once, half up.

   input, 1 x 2 x 4 x 4, the last axis fastest: the real number r enters as q,
       q = clamp(round(r / 0.05) + 100, 0, 255)
   where halves are rounded to even.

   output, 1 x 2 x 2 x 2, the last axis fastest: q stands for the real number r,
       r = 0.05 (q - 100) */
#ifndef NET_H
#define NET_H

#include <stdint.h>

#define NET_RAM_SIZE 40
#define NET_ARENA_SIZE 0
#define NET_INPUT_SIZE 32
#define NET_INPUT_SCALE 0.05f
#define NET_INPUT_ZERO_POINT 100
#define NET_OUTPUT_SIZE 8
#define NET_OUTPUT_SCALE 0.05f
#define NET_OUTPUT_ZERO_POINT 100

#ifdef __cplusplus
extern "C" {{
#endif

void net_run(const uint8_t input[NET_INPUT_SIZE],
             uint8_t output[NET_OUTPUT_SIZE]);

#ifdef __cplusplus
}}
#endif

#endif
"""
    )


def test_logits_of_one_scale_have_it_as_a_macro() -> None:
    draft = Draft(0)
    x = draft.activation((1, 3), per_tensor(0.05, 0, UINT8))
    y = draft.layer(Linear(), x, (2, 3), None)
    text = header(routine(draft.case(y).program, [(1, 3)], "double"), "net")
    assert y.params is not None
    assert f"       r = {decimal(y.params.scale.item())} q */" in text
    assert "#define NET_OUTPUT_SCALE " in text
    assert "NET_OUTPUT_ZERO_POINT" not in text
    assert "int32_t output[NET_OUTPUT_SIZE]" in text


def test_several_inputs_and_outputs_are_numbered() -> None:
    draft = Draft(0)
    grid = per_tensor(0.05, 7, UINT8)
    x, y = draft.activation((1, 3), grid), draft.activation((1, 2), grid)
    case = draft.case(draft.emit(Clamp(0.0), x, params=grid), y)
    text = header(routine(case.program, [(1, 3), (1, 2)], "double"), "net")
    for name in ("INPUT_1", "INPUT_2", "OUTPUT_1", "OUTPUT_2"):
        assert f"#define NET_{name}_SIZE" in text


def test_signed_codes_are_said_to_be_moved() -> None:
    draft = Draft(0)
    x = draft.activation((1, 3), per_tensor(0.05, -28, INT8))
    y = draft.emit(Clamp(0.0), x, params=x.params)
    text = header(routine(draft.case(y).program, [(1, 3)], "double"), "net")
    assert "q = clamp(round(r / 0.05) + 100, 0, 255)" in text
    assert "(The program has i8 codes; these are 128 more.)" in text
