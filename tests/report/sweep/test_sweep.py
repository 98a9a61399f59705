import builtins
import json
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.nets import Residual, images, seeded
from zeropoint.arithmetic.integer import INT8, UINT8
from zeropoint.arithmetic.qparams import per_tensor, simulate
from zeropoint.errors import CalibrationError, EngineError, RecipeError
from zeropoint.graph.walk import advance
from zeropoint.observe.min_max import MinMax
from zeropoint.observe.mse import MSE
from zeropoint.report.sweep import measure
from zeropoint.report.sweep.curves import least
from zeropoint.report.sweep.sweep import MARKED, sweep
from zeropoint.report.sweep.tensor import Activations, Rounding, Weights

SCALES = (0.004, 0.02)


def two_layers() -> nn.Sequential:
    """3x3 with stride and a ReLU, then 1x1: no pass changes the weights."""
    layers = (nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(4, 2, 1))
    model = seeded(nn.Sequential(*layers))
    assert isinstance(model, nn.Sequential)
    return model


def with_weight(model: nn.Sequential, change: Callable[[Tensor], Tensor]) -> nn.Sequential:
    changed = two_layers()
    changed.load_state_dict(model.state_dict())
    first = changed[0]
    assert isinstance(first, nn.Conv2d)
    first.weight.data = change(first.weight.data)
    return changed


def outputs(model: nn.Sequential, x: Tensor) -> tuple[Tensor, Tensor]:
    """Of the first layer with its ReLU, and of the network."""
    with torch.no_grad():
        layer = model[:2](x)
        return layer, model[2](layer)


def test_weights_are_rounded_with_each_scale_and_all_else_stays_float() -> None:
    model, x = two_layers(), images()
    result = sweep(model, [x[:2], x[2:]], layer="0", scales=SCALES)
    expected = outputs(model, x)
    for index, scale in enumerate(SCALES):
        grid = per_tensor(scale, 0, INT8)
        found = outputs(with_weight(model, lambda w, grid=grid: simulate(w, grid)), x)  # type: ignore[misc]  # mypy gives up on the default
        for errors, real, approximate in zip(
            (result.layer_errors, result.output_errors), expected, found, strict=True
        ):
            error = real - approximate
            assert errors.max[index] == pytest.approx(error.max().item(), abs=1e-6)
            assert errors.min[index] == pytest.approx(error.min().item(), abs=1e-6)
            assert errors.mean[index] == pytest.approx(error.mean().item(), abs=1e-6)
            assert errors.rms[index] == pytest.approx(error.square().mean().sqrt().item(), rel=1e-4)
            ratio = real.square().sum() / error.square().sum()
            assert errors.sqnr_db[index] == pytest.approx(10 * math.log10(ratio), abs=1e-3)


def test_activations_are_rounded_after_the_activation_function() -> None:
    model, x = two_layers(), images()
    result = sweep(model, [x], layer="0", of=Activations(), scales=[0.1], bits=4)
    layer, output = outputs(model, x)
    rounded = simulate(layer, replace(per_tensor(0.1, 0, UINT8), type=result_type(4)))
    assert result.layer_errors.max[0] == pytest.approx((layer - rounded).max().item())
    with torch.no_grad():
        error = output - model[2](rounded)
    assert result.output_errors.max[0] == pytest.approx(error.max().item(), abs=1e-6)


def result_type(bits: int) -> Any:
    return replace(UINT8, bits=bits)


@pytest.mark.parametrize(
    ("rounding", "function"),
    [
        (Rounding.NEAREST, torch.round),
        (Rounding.FLOOR, torch.floor),
        (Rounding.TRUNC, torch.trunc),
    ],
)
def test_every_rounding_is_what_its_name_says(
    rounding: Rounding, function: Callable[[Tensor], Tensor]
) -> None:
    model, x = two_layers(), images()
    result = sweep(model, [x], layer="0", scales=[0.05], rounding=rounding)
    found = outputs(with_weight(model, lambda w: 0.05 * function(w / 0.05)), x)[1]
    error = outputs(model, x)[1] - found
    assert result.output_errors.max[0] == pytest.approx(error.max().item(), abs=1e-6)


def test_flooring_makes_weights_smaller_so_the_mean_error_is_positive() -> None:
    model, x = two_layers(), images().abs()
    errors = sweep(model, [x], layer="0", scales=[0.05], rounding=Rounding.FLOOR).layer_errors
    assert errors.mean[0] > 0.02
    assert errors.min[0] > -1e-6


def test_integers_with_a_step_of_their_own_are_read_with_the_swept_scale() -> None:
    """The norm-factor curve: weights and bias times 64, floored; the output divided by n."""
    torch.manual_seed(0)
    model, x = nn.Conv2d(3, 10, 1), images(size=5).abs()
    factors = torch.arange(58, 66, 0.5, dtype=torch.float64)
    result = sweep(
        nn.Sequential(model),
        [x],
        layer="0",
        of=Weights(step=1 / 64, bias=True),
        rounding=Rounding.FLOOR,
        scales=(1 / factors).tolist(),
    )
    assert model.bias is not None
    with torch.no_grad():
        integers = F.conv2d(x, torch.floor(model.weight * 64), torch.floor(model.bias * 64))
        curve = [(model(x) - integers / factor).max().item() for factor in factors.tolist()]
    assert result.layer_errors.max == pytest.approx(curve, abs=1e-5)
    assert not result.marks


def test_one_channel_leaves_the_others_float_and_is_measured_alone() -> None:
    model, x = two_layers(), images()
    result = sweep(model, [x], layer="0", scales=[0.05], channel=2)

    def change(w: Tensor) -> Tensor:
        w = w.clone()
        w[2] = simulate(w[2], per_tensor(0.05, 0, INT8))
        return w

    layer, output = outputs(model, x)
    found = outputs(with_weight(model, change), x)
    error = (layer - found[0])[:, 2]
    assert result.layer_errors.rms[0] == pytest.approx(error.square().mean().sqrt().item())
    assert result.output_errors.max[0] == pytest.approx((output - found[1]).max().item(), abs=1e-6)


def test_one_channel_of_the_activations() -> None:
    model, x = two_layers(), images()
    result = sweep(model, [x], layer="0", scales=[0.05], of=Activations(), channel=1)
    channel = outputs(model, x)[0][:, 1]
    error = channel - simulate(channel, per_tensor(0.05, 0, UINT8))
    assert result.layer_errors.rms[0] == pytest.approx(error.square().mean().sqrt().item())
    assert result.output_errors.rms[0] > 0


def test_the_network_runs_once_up_to_the_layer_and_once_a_scale_behind_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ran: list[tuple[int, int]] = []

    def counting(graph: Any, live: Any, begin: int, end: int, **rest: Any) -> None:
        ran.append((begin, end))
        advance(graph, live, begin, end, **rest)

    monkeypatch.setattr(measure, "advance", counting)
    x = images()
    result = sweep(seeded(Residual()), [x], layer="block2.conv2", scales=SCALES)
    runs = len(SCALES) + len(result.marks) + 1
    prefix, suffix = ran[0], ran[1]
    assert prefix[0] == 0
    assert prefix[1] == suffix[0]
    assert ran == [prefix, *runs * [suffix]]


def test_every_calibrator_is_marked_with_the_scale_that_a_plan_would_have() -> None:
    model, x = two_layers(), images()
    result = sweep(model, [x], layer="0", bits=4)
    assert tuple(result.marks) == MARKED
    first = model[0]
    assert isinstance(first, nn.Conv2d)
    assert result.marks[MinMax()] == pytest.approx(first.weight.abs().max().item() / 7)
    assert len(result.layer_errors_at_marks.rms) == len(MARKED)
    assert (
        result.layer_errors_at_marks.rms[MARKED.index(MSE())]
        <= (result.layer_errors_at_marks.rms[MARKED.index(MinMax())])
    )


def test_scales_lie_around_the_whole_range_and_the_best_between() -> None:
    result = sweep(two_layers(), [images()], layer="0", of=Activations(), bits=4)
    whole = result.marks[MinMax()]
    assert result.scales.min() == pytest.approx(whole / 16)
    assert result.scales.max() == pytest.approx(whole * 2)
    assert result.scales.min() < result.best_for_layer < whole
    assert result.best_for_layer == result.scales[result.layer_errors.rms.argmin()]
    assert result.best_for_output == result.scales[result.output_errors.rms.argmin()]


def test_scales_of_a_step_lie_around_it() -> None:
    result = sweep(two_layers(), [images()], layer="0", of=Weights(step=0.01))
    assert result.best_for_layer == pytest.approx(0.01, rel=0.01)


def test_affine_activations_of_two_signs_keep_the_zero_point_of_the_whole_range() -> None:
    result = sweep(two_layers(), [images()], layer="2", of=Activations())
    assert least(result.layer_errors.rms) > 0
    # At the scale of the whole range nothing is clipped: half a step is the greatest error.
    at = int(np.abs(result.scales - result.marks[MinMax()]).argmin())
    assert result.layer_errors.largest[at] <= 0.51 * result.scales[at]


def test_a_layer_that_is_called_twice_is_rounded_and_measured_twice() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 1)

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.conv(torch.sin(self.conv(x)))
            return y

    model, x = seeded(Twice()), images()
    for of in (Weights(), Activations()):
        result = sweep(model, [x], layer="conv", of=of, scales=[0.1], symmetric=True)
        assert result.layer_errors.rms[0] > 0
        assert result.output_errors.rms[0] > 0
    grid = per_tensor(0.1, 128, UINT8)
    with torch.no_grad():
        conv = model.get_submodule("conv")
        first, last = conv(x), conv(torch.sin(conv(x)))
        again = simulate(conv(torch.sin(simulate(first, grid))), grid)
    assert result.output_errors.max[0] == pytest.approx((last - again).max().item(), abs=1e-6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layer": "block1.conv3"}, r"no layer 'block1\.conv3'; did you mean 'block1\.conv[12]'"),
        ({"layer": "stem.1"}, r"'stem\.1' is folded into its neighbour"),
        ({"layer": "pool"}, r"'pool' \(global_average_pool\) has no weights .*Activations\(\)"),
        ({"scales": [0.1, 0.0]}, r"scales\[1\] is 0; a scale is .* positive"),
        ({"scales": [-0.1]}, r"scales\[0\] is -0\.1; "),
        ({"scales": [math.nan]}, r"scales\[0\] is nan; "),
        ({"scales": [math.inf]}, r"scales\[0\] is inf; "),
        ({"scales": []}, "scales is empty"),
        ({"of": Weights(step=-1.0)}, r"of=Weights\(step\)\[0\] is -1; "),
        ({"of": "weights"}, r"of='weights' is no tensor of a layer; use Weights\(\)"),
        ({"rounding": "up"}, r"rounding='up' is none of Rounding\.NEAREST, Rounding\.FLOOR"),
        ({"channel": 5}, "channel=5 is none of layer 'fc', which has 5 .* use 0 to 4"),
        ({"channel": -1}, "channel=-1 is none of"),
        ({"bits": 9}, "bits=9 is not a width"),
    ],
)
def test_what_cannot_be_swept_is_said_in_a_sentence(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        sweep(seeded(Residual()), [images(2)], **{"layer": "fc", **changes})


@pytest.mark.parametrize("of", [Weights(), Activations()])
def test_a_network_that_overflows_is_named(of: Weights | Activations) -> None:
    model = two_layers()
    model[0].bias.data.fill_(3e38)  # type: ignore[operator]  # a convolution
    model[2].weight.data.fill_(3e38)  # type: ignore[operator]
    with pytest.raises(CalibrationError, match="not finite on the batches"):
        sweep(model, [images()], layer="2", of=of)


def test_no_samples_are_refused() -> None:
    with pytest.raises(CalibrationError, match="samples=0; a sweep needs at least one"):
        sweep(two_layers(), [images()], layer="0", samples=0)


def test_only_so_many_samples_are_looked_at_and_progress_is_reported() -> None:
    seen: list[tuple[str, int, int | None]] = []
    result = sweep(
        two_layers(),
        [images(), images()],
        layer="0",
        scales=SCALES,
        samples=6,
        progress=lambda stage, done, total: seen.append((stage, done, total)),
    )
    assert result.samples == 6
    runs = len(SCALES) + len(MARKED)
    assert seen == [("sweep", index, runs) for index in range(1, runs + 1)]


def test_the_table_has_the_best_scales_and_the_calibrators() -> None:
    text = str(sweep(two_layers(), [images()], layer="0", bits=3))
    assert "0: weights, 3 bits, nearest" in text
    for name in ("least", "greatest", "best", "MinMax()", "MSE(p=2.0)"):
        assert name in text


def test_the_data_survive_json_without_infinities() -> None:
    model = two_layers()
    model[0].weight.data.fill_(0.5)  # type: ignore[operator]  # a convolution
    result = sweep(model, [images()], layer="0", scales=[0.25], of=Weights())
    data = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert data["scales"] == [0.25]
    assert data["layer_errors"]["sqnr_db"] == [None]  # every weight is on the grid
    assert result.layer_errors.sqnr_db[0] == math.inf
    assert "MinMax()" in data["marks"]


def test_the_figure_has_both_outputs() -> None:
    pytest.importorskip("matplotlib")
    drawn = sweep(two_layers(), [images()], layer="0", scales=SCALES).plot()
    titles = [axes.get_title() for axes in drawn.axes]
    assert titles == ["output of the layer", "output of the network"]


def test_without_matplotlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    imported = builtins.__import__

    def missing(name: str, *rest: Any, **named: Any) -> Any:
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return imported(name, *rest, **named)

    result = sweep(two_layers(), [images()], layer="0", scales=SCALES)
    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(EngineError, match=r"zeropoint\[report\]"):
        result.plot()


def test_the_least_error_is_never_one_that_overflowed() -> None:
    assert least(np.array([math.nan, 2.0, 1.0])) == 2
