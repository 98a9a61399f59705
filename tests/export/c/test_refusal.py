from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.conformance.draft import Case, Draft
from tests.nets import Islands, images, lowered, seeded
from zeropoint.arithmetic.integer import INT8, UINT8, IntegerType
from zeropoint.arithmetic.qparams import per_tensor
from zeropoint.capture import capture
from zeropoint.errors import ExportError
from zeropoint.export import export
from zeropoint.export.c import refusal
from zeropoint.export.c.refusal import sample_shapes
from zeropoint.export.c.steps import FUNCTIONS
from zeropoint.graph.value import Quantized
from zeropoint.ops.clamp import Clamp
from zeropoint.ops.concat import Concat
from zeropoint.ops.conv import Conv2d
from zeropoint.ops.linear import Linear
from zeropoint.ops.pad import Pad
from zeropoint.ops.pool import MaxPool2d
from zeropoint.ops.quantize import Dequantize, Quantize, Requantize
from zeropoint.ops.shape import Flatten
from zeropoint.passes import simplify
from zeropoint.program.program import Program
from zeropoint.program.provenance import Provenance

GRID = per_tensor(0.1, 100, UINT8)


def refused(case: Case, shapes: Sequence[Sequence[int]] | None = None) -> str | None:
    return refusal(case.program, input_shapes=shapes or [x.shape for x in case.inputs])


def test_an_island_is_refused_by_its_layer_and_nothing_is_written(tmp_path: Path) -> None:
    x = images(4)
    program = lowered(simplify(capture(seeded(Islands()), (x,))), x)
    with pytest.raises(ExportError, match=r"C99 cannot carry norm: it stays float \(.+\); "):
        export(program, tmp_path / "net.c")
    assert list(tmp_path.iterdir()) == []


def test_a_rounding_that_does_not_exist_is_refused() -> None:
    case = plain()
    assert refusal(case.program, rounding="triple") == (  # type: ignore[arg-type]  # that is the point
        "rounding='triple'; use one of 'single', 'double'"
    )


def plain() -> Case:
    draft = Draft(0)
    x = draft.activation((1, 2, 4, 4), GRID)
    return draft.case(draft.emit(MaxPool2d((2, 2), (2, 2)), x, params=GRID))


# --- real numbers -----------------------------------------------------------------------------


@pytest.mark.parametrize("bounds", [(0.0, 6.0), (-1.0, None)])
def test_of_the_activations_behind_accumulators_only_relu_is_carried(
    bounds: tuple[float | None, float | None],
) -> None:
    draft = Draft(0)
    x = draft.activation((1, 3), GRID)
    real = draft.emit(Dequantize(), draft.layer(Linear(), x, (2, 3), None))
    case = draft.case(draft.emit(Clamp(*bounds), real))
    assert refused(case) == "clamp: its activation is computed on real numbers"


def test_quantizing_what_the_network_computes_is_refused() -> None:
    draft = Draft(0)
    real = draft.emit(Dequantize(), draft.activation((1, 3), GRID))
    case = draft.case(draft.emit(Quantize(), real, params=per_tensor(0.2, 3, UINT8)))
    assert refused(case) == "quantize:2: it quantizes real numbers that the network computes"


def test_an_input_that_is_handed_through_is_refused() -> None:
    draft = Draft(0)
    case = draft.case(draft.input(torch.randn(1, 3)))
    assert refused(case) == "output 'x1', which no integer operator computes"


# --- integers of other widths -----------------------------------------------------------------


def test_activations_of_16_bits_are_refused() -> None:
    draft = Draft(0)
    wide = per_tensor(0.001, 0, IntegerType(16, signed=True))
    x = draft.activation((1, 3), GRID)
    case = draft.case(draft.emit(Requantize(), x, params=wide))
    assert refused(case) == "requantize: its result has 16 bits, or a scale for each channel"


def test_an_operator_on_accumulators_is_refused() -> None:
    draft = Draft(0)
    x = draft.activation((1, 3, 5, 5), GRID)
    y = draft.layer(Conv2d(), x, (2, 3, 3, 3), None)
    pooled = draft.emit(MaxPool2d((2, 2), (1, 1)), y, params=y.params)
    case = draft.case(pooled, verified=False)
    reason = refused(case)
    assert reason is not None
    assert reason == "max_pool2d: its operand 'conv2d' has 32 bits"


def test_accumulators_may_be_flattened() -> None:
    draft = Draft(0)
    x = draft.activation((1, 3, 5, 5), GRID)
    y = draft.layer(Conv2d(), x, (2, 3, 3, 3), None)
    assert y.params is not None
    grid = per_tensor(float(y.params.scale.max()), 0, y.params.type)
    assert refused(draft.case(draft.emit(Flatten(), y, params=grid))) is None


def test_an_operator_without_c_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(FUNCTIONS, MaxPool2d)
    assert refused(plain()) == "max_pool2d: there is no C for max_pool2d yet"


# --- shapes -----------------------------------------------------------------------------------


def test_padding_in_every_direction_takes_more_loops_than_there_are() -> None:
    draft = Draft(0)
    x = draft.activation((1, 2, 3, 3), GRID)
    case = draft.case(draft.emit(Pad((1, 1, 1, 1, 1, 1)), x, params=GRID))
    assert refused(case) is None
    padded = draft.emit(Pad((1, 1, 1, 1, 1, 1, 0, 1)), x, params=GRID)
    case = draft.case(padded, verified=False)  # it pads the batch
    assert refused(case) == (
        "inputs of shape (1, 2, 3, 3): padding of more than three dimensions takes 5 loops; C has 4"
    )


def test_inputs_of_unknown_size_are_asked_for() -> None:
    program = any_size(plain().program)
    assert refusal(program) == (
        "inputs of any size; pass input_shapes=, one for each of 1 input(s) of shape (N, 2, H, W)"
    )
    assert refusal(program, input_shapes=[(1, 2, 6, 8)]) is None


def any_size(program: Program) -> Program:
    value = replace(program.graph.values["x1"], shape=("N", 2, "H", "W"))
    graph = replace(program.graph, values={**program.graph.values, "x1": value})
    return replace(program, graph=graph)


def test_inputs_of_another_shape_are_refused() -> None:
    case = plain()
    assert refused(case, [(1, 5, 4, 4)]) == (
        "input 'x1' of shape (1, 5, 4, 4); the model takes (N, 2, 4, 4)"
    )
    small = refusal(any_size(case.program), input_shapes=[(1, 2, 1, 1)])
    assert small is not None
    assert small.startswith("inputs of shape (1, 2, 1, 1): ")


def test_one_image_of_the_size_that_the_program_has_seen_is_taken() -> None:
    program = any_size(plain().program)
    assert sample_shapes(program) is None
    seen = replace(program, provenance=Provenance(input_shapes=((8, 2, 4, 6),)))
    assert sample_shapes(seen) == ((1, 2, 4, 6),)
    assert sample_shapes(plain().program) == ((1, 2, 4, 4),)


def test_a_concatenation_of_signed_parts_is_carried() -> None:
    draft = Draft(0)
    x = draft.activation((1, 2, 3, 3), per_tensor(0.2, -5, INT8))
    y = draft.activation((1, 2, 3, 3), GRID)
    case = draft.case(draft.emit(Concat(1), x, y, params=per_tensor(0.2, -5, INT8)))
    assert refused(case) is None
    assert isinstance(case.program.graph.values["concat"].type, Quantized)
