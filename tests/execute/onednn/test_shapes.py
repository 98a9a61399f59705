from dataclasses import replace

import torch

from tests.conformance.draft import Case, Draft
from zeropoint.arithmetic.integer import UINT8
from zeropoint.arithmetic.qparams import per_tensor
from zeropoint.execute.onednn.shapes import probable_shapes
from zeropoint.ops.conv import Conv2d
from zeropoint.ops.linear import Linear
from zeropoint.ops.shape import Flatten
from zeropoint.program.program import Program
from zeropoint.program.provenance import Provenance

GRID = per_tensor(0.0173, 100, UINT8)


def network() -> Case:
    draft = Draft(seed=0)
    x = draft.activation((2, 3, 9, 9), GRID)
    y = draft.layer(Conv2d((2, 2)), x, (8, 3, 3, 3), GRID)
    flat = draft.emit(Flatten(), y, params=GRID)
    return draft.case(draft.layer(Linear(), flat, (5, 128), None))


def seen(program: Program, *shapes: tuple[int, ...]) -> Program:
    return replace(program, provenance=Provenance(input_shapes=shapes))


def test_every_value_has_its_shape_for_one_sample() -> None:
    shapes = probable_shapes(seen(network().program, (1, 3, 9, 9)))
    assert shapes["quantize"] == (1, 3, 9, 9)
    assert shapes["conv2d"] == (1, 8, 4, 4)
    assert shapes["flatten"] == (1, 128)
    assert shapes["linear"] == (1, 5)


def test_a_program_that_does_not_know_its_sample_has_none() -> None:
    assert probable_shapes(network().program) == {}


def test_a_sample_that_does_not_fit_gives_none() -> None:
    assert probable_shapes(seen(network().program, (1, 3, 11, 11))) == {}


def test_nothing_is_computed() -> None:
    # A sample far beyond this machine's memory.
    draft = Draft(seed=0)
    x = draft.activation((2, 3, 9, 9), GRID)
    y = draft.layer(Conv2d((2, 2)), x, (8, 3, 3, 3), None)
    shapes = probable_shapes(seen(draft.case(y).program, (1, 3, 10**6, 10**6)))
    assert shapes["conv2d"] == (1, 8, 499_999, 499_999)
    assert torch.get_default_device() == torch.device("cpu")
