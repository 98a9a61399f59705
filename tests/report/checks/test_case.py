"""Which override speaks of a unit, and of no other."""

import torch
from torch import Tensor, nn

import zeropoint as zp
from tests.nets import images, lowered, seeded
from tests.report.checks.planting import captured, chain
from zeropoint.report.analysis.survey import Survey
from zeropoint.report.checks.case import make_case
from zeropoint.report.checks.evidence import Case


def case_of(model: nn.Module, recipe: zp.Recipe | None = None) -> Case:
    graph, x = captured(model), images(8)
    survey = Survey(graph, lowered(graph, x, recipe=recipe), ranking=False)
    survey.add((x,))
    layers = survey.analysis().layers
    return make_case(survey.simulation, layers, survey.tallies, {})


def keys(model: nn.Module, recipe: zp.Recipe | None = None) -> dict[str, str | None]:
    return {evidence.layer.layer: evidence.key for evidence in case_of(model, recipe).units}


def test_an_input_is_named_itself_and_a_layer_by_its_path() -> None:
    expected = {"x": "x", "conv1": "conv1", "conv2": "conv2", "mean": "", "fc": "fc"}
    assert keys(chain()) == expected


def test_an_input_follows_its_first_reader() -> None:
    first = case_of(chain()).units[0]
    assert first.origin.layer == "conv1"


def test_a_fence_behind_a_layer_kept_float_has_no_override() -> None:
    recipe = zp.Recipe(overrides={"conv1": None})
    case = case_of(chain(), recipe)
    fence = next(evidence for evidence in case.units if evidence.unit.is_fence)
    assert fence.layer.kind == "fence"
    assert fence.key is None
    assert fence.grid is None


class Fire(nn.Module):
    """Two branches, joined: their results are written straight onto the grid of the whole."""

    def __init__(self) -> None:
        super().__init__()
        self.left = nn.Conv2d(4, 4, 1)
        self.right = nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([torch.relu(self.left(x)), torch.relu(self.right(x))], 1)


class Squeeze(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(3, 4, 1)
        self.fire = Fire()
        self.fc = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.fire(self.squeeze(x))
        y: Tensor = self.fc(x.mean((2, 3)))
        return y


def test_what_is_written_onto_a_concatenations_grid_has_none_of_its_own() -> None:
    units = {evidence.layer.layer: evidence for evidence in case_of(seeded(Squeeze())).units}
    assert [name for name, evidence in units.items() if evidence.tied] == [
        "fire.left",
        "fire.right",
    ]
    assert units["fire.left"].grid is None
    assert units["fire.left"].weight is not None
    assert units["fire"].key == "fire"
    assert units["fire"].grid is not None


def test_a_layer_that_runs_twice_has_no_override_of_one_run() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 1)

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.conv(torch.relu(self.conv(x)))
            return y

    assert [evidence.key for evidence in case_of(seeded(Twice())).units] == ["x", None, None]


def test_a_unit_is_found_by_its_value() -> None:
    case = case_of(chain())
    assert case.unit(case.units[1].unit.value) is case.units[1]
    assert case.unit("nothing") is None
