import json
import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import zeropoint as zp
from tests.nets import Residual, images, seeded
from zeropoint.errors import DataError
from zeropoint.model import QuantizedModel
from zeropoint.report import latency
from zeropoint.report.compare import Comparison, Flips, compare, measure_latency, top1


class Scores(nn.Module):
    """Scores that are the image itself: a convolution that changes nothing, then a flatten."""

    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 1, bias=False)
        self.conv.weight.data.copy_(torch.eye(channels).reshape(channels, channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x)
        return y.flatten(1)


COARSE = zp.Recipe(activations=zp.TensorSpec(bits=2, calibrator=zp.MinMax()))


def scores(*rows: list[float]) -> Tensor:
    """Images (N, 3, 1, 1) that become these scores."""
    return torch.tensor(rows).reshape(len(rows), 3, 1, 1)


GRID = scores([0.0, 1.0, 2.0], [3.0, 0.0, 1.0])
"""What two bits hold exactly: 0, 1, 2 and 3."""


@pytest.fixture(scope="module")
def coarse() -> tuple[nn.Module, QuantizedModel]:
    model = Scores()
    return model, zp.quantize(model, [GRID], COARSE)


@pytest.fixture(scope="module")
def residual() -> tuple[nn.Module, QuantizedModel]:
    model = seeded(Residual())
    return model, zp.quantize(model, [images(32)])


# --- what is counted ---------------------------------------------------------------------------


def test_equal_outputs_agree_without_noise(coarse: tuple[nn.Module, QuantizedModel]) -> None:
    card = compare(*coarse, [(GRID, torch.tensor([2, 1]))], latency=False)
    assert card.samples == 2
    assert (card.float_accuracy, card.int8_accuracy) == (0.5, 0.5)
    assert card.flips == Flips(gained=0, lost=0)
    assert card.agreement == 1.0
    assert card.sqnr_db == math.inf


def test_flips_are_counted_in_both_directions(coarse: tuple[nn.Module, QuantizedModel]) -> None:
    """2.4 and 2.45 both round to 2, and the first of equal scores wins."""
    x = scores([2.4, 2.45, 0.0], [2.4, 2.45, 0.0], [2.4, 2.45, 0.0], [0.0, 1.0, 2.0])
    card = compare(*coarse, [(x, torch.tensor([1, 0, 1, 2]))], latency=False)
    assert card.flips == Flips(gained=1, lost=2)
    assert (card.float_accuracy, card.int8_accuracy) == (0.75, 0.5)
    assert card.agreement == 0.25


def test_the_noise_is_that_of_the_definition(coarse: tuple[nn.Module, QuantizedModel]) -> None:
    x = scores([0.1, 1.0, 2.0], [3.0, 0.0, 1.2])
    card = compare(*coarse, [x], latency=False)
    expected = 10 * math.log10(x.square().sum().item() / (0.1**2 + 0.2**2))
    assert card.sqnr_db == pytest.approx(expected, abs=1e-3)


def test_batches_are_summed_up_by_samples(coarse: tuple[nn.Module, QuantizedModel]) -> None:
    x, labels = torch.cat([GRID, GRID, GRID]), torch.tensor([2, 0, 2, 1, 2, 1])
    whole = compare(*coarse, [(x, labels)], latency=False)
    cut = compare(
        *coarse, [(x[:4], labels[:4]), (x[4:5], labels[4:5]), (x[5:], labels[5:])], latency=False
    )
    assert cut == whole
    assert whole.float_accuracy == pytest.approx(4 / 6)


def test_without_labels_accuracy_is_unknown_and_agreement_known(
    coarse: tuple[nn.Module, QuantizedModel],
) -> None:
    card = compare(*coarse, [GRID], latency=False)
    assert (card.float_accuracy, card.int8_accuracy, card.flips) == (None, None, None)
    assert card.agreement == 1.0
    assert "accuracy" not in str(card)


def test_zero_outputs_have_no_ratio() -> None:
    model = Scores()
    quantized = zp.quantize(model, [GRID])
    card = compare(model, quantized, [torch.zeros(2, 3, 1, 1)], latency=False)
    assert card.sqnr_db == math.inf


# --- metrics and loaders -----------------------------------------------------------------------


def test_any_metric_may_score(coarse: tuple[nn.Module, QuantizedModel]) -> None:
    def closeness(outputs: Tensor, target: Tensor) -> Tensor:
        return 1 - (outputs - target).abs().mean(1)

    target = GRID.flatten(1) + 0.25
    card = compare(*coarse, [(GRID, target)], closeness, latency=False)
    assert card.float_accuracy == pytest.approx(0.75)
    assert card.flips == Flips(0, 0)


def test_a_metric_sees_nested_outputs() -> None:
    class Detector(Scores):
        def forward(self, x: Tensor) -> Any:
            return {"boxes": super().forward(x), "maps": [self.conv(x)]}

    model = Detector()
    quantized = zp.quantize(model, [GRID])
    card = compare(
        model,
        quantized,
        [{"image": GRID, "target": {"any": "thing"}}],
        lambda outputs, target: (outputs["boxes"][:, 0] < 1).float(),
        latency=False,
    )
    assert card.float_accuracy == 0.5
    assert card.agreement is None
    assert card.sqnr_db > 30


@pytest.mark.parametrize(
    ("metric", "found"),
    [
        (lambda outputs, labels: 0.5, "float"),
        (lambda outputs, labels: outputs.mean(), r"a tensor of shape \(\)"),
        (lambda outputs, labels: outputs, r"a tensor of shape \(2, 3\)"),
    ],
)
def test_a_metric_has_to_score_each_sample(
    coarse: tuple[nn.Module, QuantizedModel], metric: Any, found: str
) -> None:
    with pytest.raises(DataError, match=rf"returned {found}; expected .* each of the 2 samples"):
        compare(*coarse, [(GRID, torch.tensor([2, 1]))], metric, latency=False)


def test_labels_that_are_no_class_indices_need_a_metric(
    coarse: tuple[nn.Module, QuantizedModel],
) -> None:
    for labels in (torch.zeros(2, 1, dtype=torch.int64), torch.zeros(2, 3), torch.zeros(3)):
        with pytest.raises(DataError) as raised:
            compare(*coarse, [(GRID, labels)], latency=False)
        assert str(raised.value) == (
            f"labels of shape {tuple(labels.shape)} come with outputs of shape (2, 3); top-1 "
            "accuracy expects one class index for each sample: yield those, or compare with a "
            "metric of your own"
        )


def test_top1_scores_each_sample() -> None:
    outputs = torch.tensor([[0.1, 0.9], [0.8, 0.2], [0.5, 0.5]])
    assert top1(outputs, torch.tensor([1, 1, 0])).tolist() == [1.0, 0.0, 1.0]


def test_the_users_loader_runs_with_gradients_and_flags_as_they_are() -> None:
    """A loader may train, attack or draw with the model itself."""
    model = Scores().train()
    quantized = zp.quantize(model, [GRID])
    seen: list[tuple[bool, bool]] = []

    def loader() -> Iterator[Tensor]:
        for _ in range(2):
            seen.append((torch.is_grad_enabled(), model.training))
            yield GRID

    compare(model, quantized, loader(), latency=False)
    assert seen == [(True, True), (True, True)]
    assert model.training


def test_a_model_that_changes_its_input_is_compared_on_the_same_images() -> None:
    class Normalizing(Scores):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x.sub_(1.0))

    model = Normalizing()
    quantized = zp.quantize(model, [GRID.clone()])
    assert compare(model, quantized, [GRID.clone()], latency=False).sqnr_db > 30


def test_progress_is_told_in_samples(coarse: tuple[nn.Module, QuantizedModel]) -> None:
    told: list[tuple[str, int, int | None]] = []
    compare(*coarse, [GRID, GRID], latency=False, progress=lambda *stage: told.append(stage))
    assert told == [("compare", 2, None), ("compare", 4, None)]


# --- the table ---------------------------------------------------------------------------------


def comparison() -> Comparison:
    model = Scores()
    quantized = zp.quantize(model, [GRID])
    card = compare(model, quantized, [(GRID, torch.tensor([2, 1]))], latency=False)
    return Comparison(
        **{
            **vars(card),
            "samples": 10_000,
            "float_accuracy": 0.9889,
            "int8_accuracy": 0.9891,
            "flips": Flips(7, 5),
            "agreement": 0.9988,
            "sqnr_db": 41.26,
            "float_bytes": 6_210_000,
            "int8_bytes": 1_560_000,
            "latency": {
                "float eager": {1: 2.0, 16: 12.0},
                "float channels_last": {1: 4.0, 16: 9.0},
                "int8": {1: 0.5, 16: 3.0},
            },
            "engine": "onednn",
        }
    )


def test_the_table_shows_everything_beside_the_fastest_float_run() -> None:
    rows = [
        [cell.strip() for cell in line.replace("┃", "│").split("│")[1:-1]]
        for line in str(comparison()).splitlines()
        if "│" in line or "┃" in line
    ]
    assert rows == [
        ["", "float32", "int8", ""],
        ["accuracy on 10,000 samples", "98.89 %", "98.91 %", "+0.02"],
        ["right in int8 only / in float only", "", "", "7 / 5"],
        ["same decision", "", "", "99.88 %"],
        ["SQNR of the output", "", "", "41.3 dB"],
        ["size on disk", "6.210 MB", "1.560 MB", "3.98x smaller"],
        ["latency, batch 1", "2.00 ms", "0.50 ms", "4.00x faster"],
        ["latency, batch 16", "9.00 ms", "3.00 ms", "3.00x faster"],
    ]
    assert "1 of 1 layers and 100.00 %" in str(comparison())


def test_the_comparison_is_json_data() -> None:
    data = json.loads(json.dumps(comparison().to_dict()))
    assert data["flips"] == {"gained": 7, "lost": 5}
    assert data["size_ratio"] == pytest.approx(6.21 / 1.56)
    assert data["latency"]["int8"] == {"1": 0.5, "16": 3.0}
    assert data["coverage"]["share_of_macs"] == 1.0
    assert data.keys() >= {"samples", "agreement", "sqnr_db", "engine", "float_bytes"}


# --- latency -----------------------------------------------------------------------------------


def test_latency_is_measured_for_each_engine_and_batch_size(
    residual: tuple[nn.Module, QuantizedModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(latency, "ROUNDS", 2)
    measured = measure_latency(*residual, (images(3),))
    assert measured.keys() == {"float eager", "float channels_last", "int8"}
    for milliseconds in measured.values():
        assert milliseconds.keys() == {1, 16}
        assert all(value > 0 for value in milliseconds.values())


def test_measuring_leaves_the_model_as_it_was(
    residual: tuple[nn.Module, QuantizedModel],
) -> None:
    model, quantized = residual
    model.train()
    card = compare(model, quantized, [images()])
    assert model.training
    assert model.get_parameter("stem.0.weight").is_contiguous()
    assert card.latency["int8"].keys() == {1, 16}
    assert card.float_bytes > card.int8_bytes or card.int8_bytes > 0
    model.eval()


def test_islands_that_make_int8_slower_than_float_are_told() -> None:
    model = seeded(nn.Sequential(nn.Conv2d(3, 4, 1), nn.GroupNorm(2, 4), nn.Conv2d(4, 4, 1)))
    card = compare(model, zp.quantize(model, [images()]), [images()], latency=False)
    assert card.warning == ""  # nothing was timed
    floats = {"float eager": {1: 3.0, 16: 9.0}, "float channels_last": {1: 2.0, 16: 10.0}}
    slower = replace(card, latency={**floats, "int8": {1: 2.5, 16: 8.0}})
    assert slower.warning.startswith(
        "At batch 1 int8 is slower than float. Operators that stay float: 1; conversions to them "
    )
    assert "At batch 1 int8 is slower" in str(slower)
    assert replace(card, latency={**floats, "int8": {1: 1.5, 16: 8.0}}).warning == ""
    whole = replace(card.coverage, islands=())
    assert replace(slower, coverage=whole).warning == ""
