"""Slots, steps and refusals of the onednn executor."""

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import zeropoint as zp
from tests.conformance.draft import Case, Draft
from tests.conformance.suite import compare
from tests.nets import seeded
from zeropoint.arithmetic.integer import INT8, UINT8, IntegerType
from zeropoint.arithmetic.qparams import per_tensor
from zeropoint.errors import EngineError
from zeropoint.execute.onednn import OneDnn, why_unusable
from zeropoint.execute.reference import Reference
from zeropoint.ops.conv import Conv2d
from zeropoint.ops.linear import Linear
from zeropoint.ops.opaque import Opaque
from zeropoint.ops.pool import GlobalAveragePool, MaxPool2d
from zeropoint.ops.quantize import Dequantize, Quantize
from zeropoint.ops.shape import COMPUTED, Flatten, Reshape, SizeOf
from zeropoint.ops.slice import Slice
from zeropoint.program.program import Program
from zeropoint.program.provenance import Provenance

pytestmark = pytest.mark.skipif(why_unusable() is not None, reason=str(why_unusable()))

GRID = per_tensor(0.0173, 100, UINT8)


@pytest.fixture(params=[True, False], ids=["direct", "by torch's operators"])
def direct(request: pytest.FixtureRequest) -> bool:
    """Both ways to oneDNN's kernels."""
    return bool(request.param)


def check(case: Case) -> None:
    expected = Reference(case.program).run(case.inputs)
    for executor in (OneDnn(case.program), OneDnn(case.program, direct=False)):
        assert compare(case, executor.run(case.inputs), expected).worst <= 1


# --- what it refuses -----------------------------------------------------------------------------


def test_weights_with_a_zero_point_are_refused() -> None:
    draft = Draft(seed=0)
    x = draft.activation((1, 4), GRID)
    params = per_tensor(0.01, 3, INT8)
    weight = draft.constant("fc.weight", torch.ones(2, 4, dtype=torch.int8), params)
    bias = draft.bias(x, weight, torch.zeros(2))
    case = draft.case(draft.emit(Linear(), x, weight, bias, params=GRID))
    with pytest.raises(EngineError, match=r"fc\.weight has a zero point; .*symmetric weights only"):
        OneDnn(case.program)


@pytest.mark.parametrize("type", [INT8, IntegerType(4, signed=True), IntegerType(16, signed=True)])
def test_signed_or_wide_activations_are_refused(type: IntegerType) -> None:
    draft = Draft(seed=0)
    case = draft.case(draft.activation((1, 4), per_tensor(0.01, 0, type)))
    with pytest.raises(EngineError, match=f'quantize is {type}; .* use engine="reference"'):
        OneDnn(case.program)


# --- what flows where ----------------------------------------------------------------------------


def test_an_accumulator_that_several_read_leaves_once() -> None:
    draft = Draft(seed=0)
    wide = draft.layer(Conv2d(), draft.activation((2, 4, 5, 5), GRID), (8, 4, 3, 3), None)
    real = draft.emit(Dequantize(), wide)
    a = draft.emit(Opaque("aten.sigmoid.default", (("%", 0),)), real)
    b = draft.emit(Opaque("aten.neg.default", (("%", 0),)), real)
    islands = {a.name: "an island", b.name: "an island"}
    check(draft.case(a, b, real, islands=islands))


def test_an_island_with_several_results_writes_them_all() -> None:
    draft = Draft(seed=0)
    x = draft.emit(Dequantize(), draft.activation((2, 4, 5, 5), GRID))
    first, second = draft.emit_many(Opaque("aten.split.Tensor", (("%", 0), 2, 1)), x)
    check(draft.case(second, first, islands={first.name: "an island"}))


def test_a_result_that_nobody_reads_is_no_obstacle() -> None:
    draft = Draft(seed=0)
    x = draft.activation((2, 4, 5, 5), GRID)
    draft.emit(GlobalAveragePool(), x, params=GRID)
    draft.layer(Conv2d(), x, (8, 4, 3, 3), None)
    check(draft.case(draft.emit(Flatten(), x, params=GRID)))


def test_an_input_may_be_returned_and_read() -> None:
    draft = Draft(seed=0)
    x = draft.input(draft.normal((2, 4, 5, 5)))
    q = draft.emit(Quantize(), x, params=GRID)
    case = draft.case(q)
    graph = replace(case.program.graph, outputs=(x.name,))
    (same,) = OneDnn(Program(graph, {})).run(case.inputs)
    assert torch.equal(same, case.inputs[0])


def test_an_accumulator_lives_until_its_last_reader_by_any_name() -> None:
    # A dequantizer of an accumulator is no step: its operand and its result are one tensor.
    draft = Draft(seed=0)
    wide = draft.layer(Conv2d(), draft.activation((2, 4, 5, 5), GRID), (6, 4, 3, 3), None)
    real = draft.emit(Dequantize(), wide)
    batch = draft.size(SizeOf(0), wide)
    apart = draft.emit(Reshape((COMPUTED, 2, 3, 3, 3)), real, batch)
    check(draft.case(apart, islands={apart.name: "an island"}))


def test_what_is_a_view_of_a_pooled_image_keeps_it() -> None:
    draft = Draft(seed=0)
    image = draft.layer(Conv2d(), draft.activation((2, 4, 5, 5), GRID), (4, 4, 1, 1), GRID)
    view = draft.emit(Slice(2, 1, 5, 2), image, params=GRID)
    other = draft.layer(Conv2d(), draft.activation((2, 4, 5, 5), GRID), (4, 4, 1, 1), GRID)
    check(draft.case(view, draft.emit(MaxPool2d((1, 1), (1, 1)), other, params=GRID)))


def test_two_inputs_meet_in_one_program() -> None:
    draft = Draft(seed=0)
    a, b = draft.activation((2, 4, 5, 5), GRID), draft.activation((2, 8, 3, 3), GRID)
    check(draft.case(draft.layer(Conv2d(), a, (8, 4, 3, 3), GRID, b)))


def test_too_few_inputs_are_an_error() -> None:
    draft = Draft(seed=0)
    case = draft.case(draft.activation((2, 4), GRID), draft.activation((2, 4), GRID))
    with pytest.raises(ValueError, match="shorter"):
        OneDnn(case.program).run(case.inputs[:1])


# --- images of any kind --------------------------------------------------------------------------


def network(draft: Draft, x: Tensor) -> Case:
    """A quantizer, two convolutions with a residual, a global average."""
    image = draft.emit(Quantize(), draft.input(x), params=GRID)
    first = draft.layer(Conv2d((2, 2), (1, 1), low=0.0), image, (8, 3, 3, 3), GRID)
    second = draft.layer(Conv2d((1, 1), (1, 1)), first, (8, 8, 3, 3), GRID, first)
    return draft.case(draft.emit(GlobalAveragePool(), second, params=GRID))


def small_network() -> Case:
    draft = Draft(seed=0)
    return network(draft, draft.normal((2, 3, 9, 9)))


def agree(case: Case, executor: OneDnn, x: Tensor) -> bool:
    """True if the executor gives for x what the reference gives."""
    found, expected = executor.run([x]), Reference(case.program).run([x])
    return compare(case, found, expected).worst <= 1


@pytest.mark.parametrize("sample", [(), ((1, 3, 9, 9),), ((1, 3, 64, 48),), ((1, 3, 1, 1),)])
@pytest.mark.parametrize("size", [(1, 1), (9, 9), (32, 20)])
def test_images_of_another_size_than_was_foreseen_are_right(
    size: tuple[int, int], sample: tuple[tuple[int, ...], ...], direct: bool
) -> None:
    draft = Draft(seed=0)
    case = network(draft, draft.normal((2, 3, *size)))
    program = replace(case.program, provenance=Provenance(input_shapes=sample))
    assert agree(case, OneDnn(program, direct=direct), case.inputs[0])


def test_more_sizes_than_are_remembered_are_right_the_second_time_too(direct: bool) -> None:
    case = small_network()
    executor, draft = OneDnn(case.program, direct=direct), Draft(seed=1)
    images = [draft.normal((1, 3, height, 7)) for height in range(1, 81)]
    assert all(agree(case, executor, x) for x in (*images, *images))


def views() -> dict[str, Tensor]:
    x = Draft(seed=1).normal((4, 3, 20, 20))
    return {
        "part of a larger one": x[1:3, :, 3:12, 5:14],
        "every other pixel": x[:2, :, 1:19:2, ::2][..., :9],
        "transposed": x[:2, :, :9, :9].transpose(2, 3),
        "one image, shown many times": x[:1, :, :9, :9].expand(4, 3, 9, 9),
        "one channel, shown thrice": x[:2, :1, :9, :9].expand(2, 3, 9, 9),
        "one pixel": x[:2, :, :1, :1].expand(2, 3, 9, 9),
        "overlapping rows": x[:2, :, 0, :].unfold(2, 9, 1)[:, :, :9],
        "of a parameter": x[:2, :, :9, :9].clone().requires_grad_(),
    }


@pytest.mark.parametrize("view", views())
def test_an_image_may_be_a_view_of_any_kind(view: str, direct: bool) -> None:
    case = small_network()
    assert agree(case, OneDnn(case.program, direct=direct), views()[view])


@pytest.mark.parametrize("value", [torch.inf, -torch.inf, 1e30, -1e30, 0.0])
def test_numbers_beyond_the_grid_saturate(value: float, direct: bool) -> None:
    case = small_network()
    assert agree(case, OneDnn(case.program, direct=direct), torch.full((1, 3, 9, 9), value))


def test_no_images_give_no_results(direct: bool) -> None:
    case = small_network()
    (y,) = OneDnn(case.program, direct=direct).run([case.inputs[0][:0]])
    assert y.shape == (0, 8, 1, 1)


@pytest.mark.parametrize(
    "op", [Conv2d(), Conv2d((2, 2)), MaxPool2d((5, 5), (2, 2)), MaxPool2d((5, 5), (7, 7))]
)
def test_an_image_that_is_too_small_is_an_error(op: Conv2d | MaxPool2d, direct: bool) -> None:
    draft = Draft(seed=0)
    x = draft.emit(Quantize(), draft.input(draft.normal((2, 3, 9, 9))), params=GRID)
    if isinstance(op, Conv2d):
        case = draft.case(draft.layer(op, x, (8, 3, 5, 5), GRID))
    else:
        case = draft.case(draft.emit(op, x, params=GRID))
    executor, image = OneDnn(case.program, direct=direct), torch.zeros(1, 3, 3, 3)
    with pytest.raises(RuntimeError, match=r"too small|Kernel size can't be greater"):
        Reference(case.program).run([image])
    # What torch refuses by itself it refuses in its own words.
    with pytest.raises((EngineError, RuntimeError), match=r"too small|an't be greater|negative"):
        executor.run([image])


def test_a_call_that_failed_leaves_the_executor_as_it_was(direct: bool) -> None:
    case = small_network()
    executor = OneDnn(case.program, direct=direct)
    with pytest.raises((RuntimeError, EngineError)):
        executor.run([torch.zeros(1, 5, 9, 9)])
    assert agree(case, executor, case.inputs[0])


def test_the_average_of_a_large_image_takes_no_time(direct: bool) -> None:
    draft = Draft(seed=0)
    x = draft.emit(Quantize(), draft.input(draft.normal((1, 3, 224, 224))), params=GRID)
    case = draft.case(draft.emit(GlobalAveragePool(), x, params=GRID))
    executor = OneDnn(case.program, direct=direct)
    assert agree(case, executor, case.inputs[0])
    begin = time.perf_counter()
    executor.run(case.inputs)
    assert time.perf_counter() - begin < 0.5


def test_results_stay_the_caller_s_however_often_the_program_runs(direct: bool) -> None:
    draft = Draft(seed=0)
    x = draft.emit(Quantize(), draft.input(draft.normal((2, 3, 9, 9))), params=GRID)
    y = draft.layer(Conv2d(), x, (8, 3, 3, 3), GRID)
    case = draft.case(y, draft.layer(Conv2d(), y, (8, 8, 3, 3), None))
    executor = OneDnn(case.program, direct=direct)
    first = executor.run(case.inputs)
    copies = [result.clone() for result in first]
    for _ in range(3):
        executor.run([case.inputs[0].flip(2)])
    assert all(torch.equal(a, b) for a, b in zip(first, copies, strict=True))


# --- without VNNI --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def without_vnni() -> dict[str, Any]:
    """What a CPU without VNNI computes: oneDNN itself is told to use its AVX2 kernels."""
    environment = {**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.execute.onednn.without_vnni"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)  # type: ignore[no-any-return]  # json has no types


def test_pairs_do_saturate_without_vnni(without_vnni: dict[str, Any]) -> None:
    assert without_vnni["saturating"] > 0.01


def test_with_seven_bits_where_they_would_they_compute_the_program(
    without_vnni: dict[str, Any],
) -> None:
    assert without_vnni["repaired"] < 1e-6


def test_the_proof_tells_the_two_apart(without_vnni: dict[str, Any]) -> None:
    assert without_vnni["needs_vnni"] == [True, False]


def test_a_program_from_another_machine_is_refused_with_its_layer(
    without_vnni: dict[str, Any],
) -> None:
    assert without_vnni["refusal"].startswith("0: this CPU has no VNNI instructions")
    assert "quantize on this machine" in without_vnni["refusal"]


# --- call after call -----------------------------------------------------------------------------


class TwoVolumes(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv3d(1, 4, 3, padding=1), nn.Conv3d(1, 4, 3, padding=1)
        self.norm = nn.GroupNorm(2, 4)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm(self.a(x)) + self.b(x)
        return y


class RowsThenLines(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rows = nn.Linear(16, 16)
        self.lines = nn.Sequential(nn.Conv1d(16, 16, 3, padding=1), nn.ReLU(), nn.Conv1d(16, 16, 1))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.lines(self.rows(x).relu())
        return y


class Views(nn.Module):
    """Pools that see beyond the image, a function of float32, corners, rows before a layer."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.pool = nn.Conv2d(3, 8, 3), nn.MaxPool2d(3, 2, ceil_mode=True)
        self.rows, self.mix = nn.Linear(8, 8), nn.Conv2d(16, 8, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = nn.functional.softsign(self.pool(self.stem(x)))
        z = self.rows(y.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        large = nn.functional.interpolate(z, scale_factor=2, mode="bilinear", align_corners=True)
        small = nn.functional.max_pool2d(large, 2)
        joined: Tensor = self.mix(torch.cat([small, y], 1)) + y
        return joined


@pytest.mark.parametrize(
    ("model", "shape"),
    [(TwoVolumes, (1, 1, 8, 8, 8)), (RowsThenLines, (3, 16, 16)), (Views, (2, 3, 20, 20))],
)
def test_the_tenth_call_is_as_right_as_the_first(
    model: type[nn.Module], shape: tuple[int, ...], direct: bool
) -> None:
    program = zp.quantize(seeded(model()), [torch.randn(shape)], engine="onednn").program
    executor, reference = OneDnn(program, direct=direct), Reference(program)
    for call in range(10):
        x = torch.randn((1 + call % 2, *shape[1:]))
        found, expected = executor.run([x])[0], reference.run([x])[0]
        assert (found - expected).abs().max() < 0.1 * expected.abs().max()


@pytest.mark.parametrize("sizes", [(0, 3, 20, 20), (2, 3, 0, 20)])
def test_images_without_pixels_are_right_or_refused(sizes: tuple[int, ...]) -> None:
    q = zp.quantize(seeded(Views()), [torch.randn(2, 3, 20, 20)], engine="onednn")
    if sizes[0]:
        with pytest.raises(EngineError):
            q(torch.zeros(sizes))
    else:
        assert q(torch.zeros(sizes)).shape == (0, 8, 9, 9)


def test_no_detections_pass_a_transposed_convolution(direct: bool) -> None:
    model = seeded(nn.Sequential(nn.ConvTranspose2d(3, 4, 2, 2), nn.ReLU(), nn.Conv2d(4, 2, 1)))
    program = zp.quantize(model, [torch.randn(2, 3, 6, 6)], engine="onednn").program
    (y,) = OneDnn(program, direct=direct).run([torch.zeros(0, 3, 6, 6)])
    assert y.shape == (0, 2, 12, 12)


class Joined(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down, self.up = nn.Conv2d(3, 8, 3, 2, 1), nn.ConvTranspose2d(8, 8, 2, 2)
        self.skip, self.out = nn.Conv2d(3, 8, 1), nn.Conv2d(16, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.out(torch.cat([self.skip(x), self.up(self.down(x))], 1))
        return y


class Broadcast(nn.Module):
    """A sum whose operands are alike but for images that are one pixel wide."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(3, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.a(x).relu() + self.b(nn.functional.pad(x, (1, 0))[..., 1:])[:, :, ::2]
        return y


@pytest.mark.parametrize("height", [1, 2])
def test_a_residual_that_is_spread_over_the_result_is(height: int, direct: bool) -> None:
    program = zp.quantize(seeded(Broadcast()), [torch.randn(2, 3, 1, 6)], engine="onednn").program
    executor, reference = OneDnn(program, direct=direct), Reference(program)
    for width in (1, 6, 6):
        x = torch.randn(3, 3, height, width)
        found, expected = executor.run([x])[0], reference.run([x])[0]
        assert found.shape == expected.shape
        assert (found - expected).abs().max() < 0.02 * expected.abs().max()


def test_images_that_do_not_fit_together_are_not_joined() -> None:
    q = zp.quantize(seeded(Joined()), [torch.randn(2, 3, 16, 16)], engine="onednn")
    with pytest.raises(EngineError, match="cannot be"):
        q(torch.zeros(1, 3, 17, 16))


def test_a_result_whose_shape_depends_on_the_data_is_right(direct: bool) -> None:
    """The memory of the first call is no plan for a call whose results have other shapes."""
    draft = Draft(seed=0)
    image = draft.layer(Conv2d(), draft.activation((2, 4, 5, 5), GRID), (4, 4, 1, 1), GRID)
    real = draft.emit(Dequantize(), image)
    found = draft.emit(Opaque("aten.nonzero.default", (("%", 0),)), real)
    after = draft.layer(Conv2d(), draft.activation((2, 4, 5, 5), GRID), (4, 4, 1, 1), GRID)
    case = draft.case(found, after, islands={found.name: "an island"})
    executor, reference = OneDnn(case.program, direct=direct), Reference(case.program)
    for factor in (1.0, 0.0, 2.0, 0.5):
        inputs = [x * factor for x in case.inputs]
        for a, b in zip(executor.run(inputs), reference.run(inputs), strict=True):
            assert a.shape == b.shape
            assert (a - b).abs().max() < 1.5 * GRID.scale if b.numel() else True


def test_what_a_call_returned_is_not_written_to_by_the_next(direct: bool) -> None:
    program = zp.quantize(seeded(Views()), [torch.randn(2, 3, 20, 20)], engine="onednn").program
    executor = OneDnn(program, direct=direct)
    x = torch.randn(2, 3, 20, 20)
    results = [executor.run([x])[0] for _ in range(3)]
    kept = [result.clone() for result in results]
    executor.run([-x])
    assert all(torch.equal(a, b) for a, b in zip(results, kept, strict=True))
