from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.nets import images
from tests.train.training import assert_evaluates_as_its_program, prepared, recipe, settled, train
from zeropoint.arithmetic.qparams import quantize
from zeropoint.recipe import Recipe
from zeropoint.train import CurrentRange, Folded, Live, OscillationFreezing, Unfolded, narrow
from zeropoint.train.module import QuantizationAware


def two_layers() -> nn.Module:
    return settled(nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Conv2d(4, 5, 1)))


def codes(qat: QuantizationAware, name: str) -> Tensor:
    weight, params = qat.weight_and_grid(name)
    return quantize(weight.detach(), params).to(torch.int32)


def swing(qat: QuantizationAware, name: str, at: tuple[int, ...], step: int) -> None:
    """One weight goes from the middle of one code to that of the next, and back."""
    weight, params = qat.weight_and_grid(name)
    scale = float(params.scale[at[0]] if params.axis == 0 else params.scale)
    zero_point = int(params.zero_point[at[0]] if params.axis == 0 else params.zero_point)
    code = (0 if zero_point < 0 else zero_point) + (step % 2)
    with torch.no_grad():
        weight[at] = scale * (code - zero_point)


SCHEMES = {
    "symmetric": recipe(4),
    "asymmetric": recipe(4, symmetric_weights=False),
    "one scale": recipe(4, per_tensor=True),
}


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("way", [Live(), Folded(), Unfolded()], ids=repr)
@pytest.mark.parametrize("name", ["1", "2"])
def test_a_weight_that_swings_is_frozen_and_no_other(scheme: str, way: object, name: str) -> None:
    """Also where the grid is that of the weight times its batch norm's factor."""
    qat = prepared(two_layers(), SCHEMES[scheme], batch_norm=way)
    freezing = OscillationFreezing(qat, threshold=0.05, momentum=0.1)
    at = (1, 2, 0, 0)
    before = {n: codes(qat, n) for n in qat.weight_quantizers()}
    frozen = []
    for step in range(8):
        swing(qat, name, at, step)
        frozen.append(freezing())
    assert frozen == [0, 0, 1, 1, 1, 1, 1, 1]  # it turns back for the first time in the third
    held = qat.weight_and_grid(name)[0][at].item()
    for step in range(3):
        swing(qat, name, at, step)
        freezing()
        assert qat.weight_and_grid(name)[0][at].item() == pytest.approx(held, abs=1e-6)
    for other, expected in before.items():
        different = (codes(qat, other) != expected).nonzero().tolist()
        assert different in ([], [list(at)])
        assert other == name or different == []


def test_it_is_frozen_on_the_code_where_it_mostly_was() -> None:
    qat = prepared(two_layers(), recipe(4))
    freezing = OscillationFreezing(qat, threshold=0.3, momentum=0.2)
    at = (0, 0, 0, 0)
    for step in (0, 0, 0, 0, 1, 0, 1, 0):
        swing(qat, "2", at, step)
        if freezing():
            break
    assert codes(qat, "2")[at] == 0


def test_a_weight_that_only_drifts_is_not_frozen() -> None:
    qat = prepared(two_layers(), recipe(8))
    freezing = OscillationFreezing(qat, threshold=0.0, momentum=0.5)
    weight, params = qat.weight_and_grid("2")
    for _ in range(5):
        with torch.no_grad():
            weight.add_(2 * params.scale.reshape(-1, 1, 1, 1))
        assert freezing() == 0


def test_what_is_frozen_follows_its_scale() -> None:
    """The integer stays, not the real number."""
    qat = prepared(two_layers(), recipe(4))
    freezing = OscillationFreezing(qat, threshold=0.05, momentum=0.1)
    at = (1, 2, 0, 0)
    for step in range(4):
        swing(qat, "2", at, 1 + step)
        freezing()
    code = codes(qat, "2")[at]
    qat.get_parameter("fake_quantizers.2/weight.change").data.fill_(0.5)
    freezing()
    assert codes(qat, "2")[at] == code
    weight, params = qat.weight_and_grid("2")
    assert weight[at].item() == pytest.approx(float(code * params.scale[1]))


def test_the_threshold_may_fall_between_calls() -> None:
    qat = prepared(two_layers(), recipe(4))
    freezing = OscillationFreezing(qat, threshold=1.0, momentum=0.1)
    for step in range(4):
        swing(qat, "2", (0, 0, 0, 0), step)
        assert freezing() == 0
    freezing.threshold = 0.01
    assert freezing() == 1


def test_other_bits_are_watched_anew() -> None:
    qat = prepared(two_layers(), recipe(8))
    freezing = OscillationFreezing(qat, threshold=0.0, momentum=0.5)
    for step in range(3):
        swing(qat, "2", (0, 0, 0, 0), step)
        freezing()
    narrow(qat, [images(16)], recipe(4))
    before = qat.get_parameter("2.weight").detach().clone()
    assert [freezing() for _ in range(3)] == [0, 0, 0]
    assert torch.equal(qat.get_parameter("2.weight"), before)


@pytest.mark.parametrize(
    ("wish", "methods"),
    [(recipe(4), {}), (recipe(3, per_tensor=True), {"weights": CurrentRange()})],
)
def test_in_a_real_training_it_goes_along(wish: Recipe, methods: dict[str, Any]) -> None:
    model = settled(nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(),
        nn.Conv2d(8, 8, 3, groups=8), nn.BatchNorm2d(8), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5),
    ))  # fmt: skip
    qat = prepared(model, wish, **methods)
    freezing = OscillationFreezing(qat, threshold=0.02, momentum=0.05)
    optimizer = torch.optim.SGD(qat.parameters(), 1.0)
    counts = []
    for step in range(30):
        train(qat, 1, optimizer=optimizer, first=step % 3)
        counts.append(freezing())
    assert counts == sorted(counts)
    assert 0 < counts[-1] < 300
    assert_evaluates_as_its_program(qat, images(8, seed=3))


def test_a_weight_that_two_layers_share_is_counted_once() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 1)

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.conv(torch.relu(self.conv(x)))
            return y

    qat = prepared(settled(Twice()), recipe(4))
    freezing = OscillationFreezing(qat, threshold=0.05, momentum=0.1)
    (name,) = qat.weight_quantizers()
    for step in range(5):
        swing(qat, name, (0, 1, 0, 0), step)
        count = freezing()
    assert count == 1
