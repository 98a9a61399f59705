from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.nets import Residual, images
from tests.train.training import prepared, recipe, settled, values_in_training
from zeropoint.assign import assign
from zeropoint.capture import capture
from zeropoint.passes import simplify
from zeropoint.recipe import Recipe
from zeropoint.target import ONEDNN, REFERENCE
from zeropoint.train import CurrentRange, Folded, Live, Unfolded
from zeropoint.train.assembly import on_cpu, with_room
from zeropoint.train.learned_step import LearnedGrid
from zeropoint.train.step import ON_GRID


class Twice(nn.Module):
    """One convolution, used twice, each time with a batch norm of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1, bias=False)
        self.first, self.second = nn.BatchNorm2d(3), nn.BatchNorm2d(3)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.second(self.conv(torch.relu(self.first(self.conv(x)))))
        return y


# --- places for weights --------------------------------------------------------------------------


def test_a_folded_weight_takes_the_place_of_the_users_with_a_bias_beside_it() -> None:
    qat = prepared(
        settled(nn.Sequential(nn.Conv2d(3, 4, 1, bias=False), nn.BatchNorm2d(4))),
        batch_norm=Folded(),
    )
    assert {name for name, _ in qat.named_parameters() if name[0] == "0"} == {
        "0.weight", "0.bias"
    }  # fmt: skip


def test_a_weight_that_two_batch_norms_follow_stays_one_and_is_folded_in_each_step() -> None:
    model = settled(Twice())
    qat = prepared(model, batch_norm=Folded())
    names = {name for name, _ in qat.named_parameters() if "fake_quantizers" not in name}
    assert names == {name for name, _ in model.named_parameters()}
    assert qat.weight_quantizers() == []  # both are computed
    x = images(8)
    assert (qat.eval()(x) - model(x)).abs().max() < 0.1
    loss: Any = F.mse_loss(qat.train()(x), x)  # torch's backward() has no types
    loss.backward()
    assert all(p.grad is not None for name, p in qat.named_parameters() if name in names)


def test_two_uses_with_their_batch_norms_share_the_weight_and_have_a_grid_each() -> None:
    qat = prepared(settled(Twice()), batch_norm=Live())
    assert qat.weight_quantizers() == ["relu", "second"]
    first, second = (qat.weight_and_grid(name)[0] for name in qat.weight_quantizers())
    assert first is second is qat.get_parameter("conv.weight")


def test_two_uses_of_one_weight_without_batch_norms_share_a_grid() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 1)

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.conv(torch.relu(self.conv(x)))
            return y

    qat = prepared(settled(Net()))
    assert [name for name in qat.quantizers() if "weight" in name] == ["conv.weight"]
    assert len(qat.weight_quantizers()) == 1


# --- grids ---------------------------------------------------------------------------------------


def test_there_is_a_grid_for_each_value_that_the_plan_gives_one() -> None:
    qat = prepared(settled(Residual()))
    entries = set(qat.made.assignment.own) | set(qat.made.assignment.weights)
    assert qat.quantizers().keys() == entries


def test_grids_begin_where_the_plan_has_them() -> None:
    qat = prepared(settled(Residual()), weights=CurrentRange()).eval()
    for name, entry in qat.snapshot().plan.entries.items():
        expected = qat.made.plan.entries[name].params
        torch.testing.assert_close(entry.params.scale, expected.scale, rtol=1e-6, atol=0.0)
        assert torch.equal(entry.params.zero_point, expected.zero_point)


def test_a_channel_of_zeros_begins_on_the_scale_of_the_others() -> None:
    """As those that the factor zero of a batch norm has folded to zeros."""
    model = settled(nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)))
    qat = prepared(model, batch_norm=Folded())
    grid = qat.quantizers()["0.weight'"]
    assert isinstance(grid, LearnedGrid)
    assert not qat.get_parameter("0.weight")[3].any()
    torch.testing.assert_close(grid.initial[3], grid.initial[:3].mean())


def test_a_weight_of_nothing_but_zeros_begins_on_the_scale_one() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1)).eval()
    nn.init.zeros_(model.get_parameter("0.weight"))
    grid = prepared(model).quantizers()["0.weight"]
    assert isinstance(grid, LearnedGrid)
    assert grid.initial.tolist() == [1.0, 1.0, 1.0, 1.0]


def test_the_mean_magnitude_of_the_data_is_the_papers_start() -> None:
    model = settled(nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.Conv2d(4, 4, 1)))
    qat = prepared(model, recipe(2))
    x = images(16)
    with torch.no_grad():
        expected = 2 * torch.relu(model.get_submodule("0")(x)).mean() / 3**0.5
    found = qat.quantizers()["1"].grid(torch.empty(0)).scale
    assert abs(found - expected) < 0.005 * expected  # to the histogram's precision


@pytest.mark.parametrize("way", [Live(), Unfolded(), Folded()], ids=repr)
def test_what_is_quantized_behind_the_fold_begins_on_the_folded_weights(way: object) -> None:
    model = settled(nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)))
    qat = prepared(model, recipe(per_tensor=True), batch_norm=way)
    folded = simplify(capture(model, (images(),))).constants["0.weight'"]
    own = qat.get_parameter("0.weight")
    expected = (own if way == Unfolded() else folded).detach().abs().max() / 127
    grid = qat.quantizers()["0.weight'"]
    assert isinstance(grid, LearnedGrid)
    torch.testing.assert_close(grid.initial, expected)


# --- dropout -------------------------------------------------------------------------------------


class Classifier(nn.Module):
    """Hardswish, dropout, a linear layer: the end of MobileNetV3.

    `in_float`: what stays float stands before the dropout, and reads it besides the layer.
    """

    def __init__(self, *, in_float: bool = False) -> None:
        super().__init__()
        self.conv, self.drop, self.fc = nn.Conv2d(3, 8, 1), nn.Dropout(0.5), nn.Linear(8, 5)
        self.in_float = in_float

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x).mean((2, 3))
        x = self.drop(F.layer_norm(x, (8,)) if self.in_float else F.hardswish(x))
        y: Tensor = self.fc(x)
        return y + torch.softmax(x, 1).amax(1, keepdim=True) if self.in_float else y


def what_the_layer_reads(model: nn.Module) -> Tensor:
    """In steps of the grid that it was rounded to."""
    qat = prepared(model).train()
    values = values_in_training(qat, 10 * images(64))
    read = values.get("drop" + ON_GRID, values["drop"]).detach()
    grids = qat.quantizers()
    grid = grids["hardswish"] if "hardswish" in grids else grids["layer_norm"]
    steps: Tensor = read / grid.grid(torch.empty(0)).scale
    return steps


def test_what_dropout_scales_up_is_not_clipped_to_the_grid() -> None:
    """It is rounded first: twice a code is even, and may be beyond the grid."""
    steps = what_the_layer_reads(settled(Classifier()))
    assert torch.allclose(steps, 2 * (steps / 2).round(), atol=1e-3)
    assert (steps == 0).float().mean() > 0.4
    assert steps.max() > 256


def test_where_floats_read_the_same_dropout_integers_read_it_on_the_grid() -> None:
    steps = what_the_layer_reads(settled(Classifier(in_float=True)))
    assert torch.allclose(steps, steps.round(), atol=1e-3)
    assert steps.max() - steps.min() <= 255


# --- targets -------------------------------------------------------------------------------------


def test_targets_that_add_pairs_in_16_bits_get_weights_of_seven() -> None:
    graph = simplify(capture(settled(Residual()), (images(),)))
    assignment = assign(graph, Recipe(overrides={"fc": recipe(4)}), REFERENCE)
    narrow = with_room(assignment, replace(ONEDNN, saturating_pairs=True))
    bits = {name: spec.bits for name, spec in narrow.weights.items()}
    assert bits.pop("fc.weight") == 4
    assert set(bits.values()) == {7}
    assert with_room(assignment, REFERENCE) is assignment
    assert narrow.own == assignment.own


def test_tensors_come_to_the_cpu_as_capture_has_them() -> None:
    found = on_cpu(torch.ones(2, dtype=torch.float64, requires_grad=True))
    assert (found.dtype, found.requires_grad) == (torch.float32, False)
    assert on_cpu(torch.ones(2, dtype=torch.int64)).dtype == torch.int64
