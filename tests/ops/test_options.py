import math
from dataclasses import fields
from typing import Any

import pytest

from zeropoint.errors import GraphError
from zeropoint.graph.op import Op
from zeropoint.ops import OPS
from zeropoint.ops.add import Add
from zeropoint.ops.clamp import Clamp
from zeropoint.ops.conv import Conv2d
from zeropoint.ops.conv_transpose import ConvTranspose1d
from zeropoint.ops.opaque import Opaque
from zeropoint.ops.options import BOUNDS, CHOICES, check_options
from zeropoint.ops.order import Take
from zeropoint.ops.pad import Pad
from zeropoint.ops.pool import AveragePool2d, MaxPool2d
from zeropoint.ops.shape import Reshape, SizeArithmetic
from zeropoint.ops.shuffle import PixelShuffle, Unfold
from zeropoint.ops.slice import Slice
from zeropoint.ops.upsample import Interpolate

UNBOUNDED = {"function", "steps", "target", "arguments", "keywords", "reason"}
"""Functions, words, and what Opaque.check looks at."""

FLAGS = {"ceil_mode", "count_include_pad", "keep", "exact", "align_corners", "channels"}


def test_every_field_of_every_operator_has_bounds() -> None:
    names = {field.name for op in OPS.values() for field in fields(op)}  # type: ignore[arg-type]  # every operator is a dataclass
    assert names == BOUNDS.keys() | CHOICES.keys() | UNBOUNDED | FLAGS


@pytest.mark.parametrize(
    "op",
    [
        Conv2d(),
        Conv2d((2, 1), (65535, 0), (3, 3), 4, 0, 6.0, (("silu", "x"),)),
        Clamp(-math.inf, None),
        Pad((1, None, -2, 0), value=-math.inf),
        Slice(1, None, 2**63 - 1, 2),
        Reshape((0, -1, -2, 5)),
        SizeArithmetic("mul", (None, 0.5)),
        Opaque("aten.sigmoid.default", (("%", 0),)),
    ],
)
def test_what_capture_writes_passes(op: Op) -> None:
    check_options(op)


BIG: Any = 2**31
TEXT: Any = "1"
LIST: Any = [1, 1]
TRUE: Any = True
HALF: Any = 1.5
NONE: Any = None


@pytest.mark.parametrize(
    "op",
    [
        Conv2d((0, 1)),
        Conv2d((1, 1), (-1, 0)),
        Conv2d((1, 1), (0, 0), (BIG, 1)),
        Conv2d(groups=0),
        Conv2d(groups=TRUE),
        Conv2d(groups=HALF),
        Conv2d(stride=LIST),
        Conv2d(stride=(TEXT, 1)),
        Conv2d(stride=NONE),
        Conv2d(low=math.nan),
        Conv2d(low=TEXT),
        ConvTranspose1d(output_padding=(-1,)),
        MaxPool2d((0, 1), (1, 1)),
        MaxPool2d((1, 1), (0, 1)),
        AveragePool2d((1, 1), (1, 1), ceil_mode=NONE),
        Interpolate(factors=(0.0, 1.0)),
        Interpolate(factors=(1e9, 1.0)),
        Interpolate(size=(0, 4)),
        PixelShuffle(0),
        PixelShuffle(-2),
        Unfold((2, 2), stride=(0, 1)),
        Take(0, (-1,)),
        Take(0, (BIG + 1,)),
        Pad((BIG + 1, 0)),
        Pad((0, 0), mode="exec"),
        Add(alpha=math.inf),
        Slice(0, step=0),
        Slice(99),
        Reshape((-3,)),
        SizeArithmetic("exec", (None,)),
        SizeArithmetic("mul", (None, 2**60)),
        Opaque("aten.relu_.default", (("%", 0),)),
    ],
    ids=repr,
)
def test_options_that_no_operator_has_are_refused(op: Op) -> None:
    with pytest.raises(GraphError, match=r"out of bounds|which is no|may call"):
        check_options(op)
