import json

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import zeropoint as zp
from tests.nets import Islands, Residual, images, seeded
from zeropoint.program.coverage import Coverage, coverage

CONV1, CONV2, FC = 8 * 3 * 9 * 64, 8 * 8 * 9 * 64, 8 * 5


@pytest.fixture(scope="module")
def residual() -> Coverage:
    return zp.quantize(seeded(Residual()), [images()]).coverage()


@pytest.fixture(scope="module")
def islands() -> Coverage:
    recipe = zp.Recipe(overrides={"conv2": None})
    return zp.quantize(seeded(Islands()), [images()], recipe).coverage()


def test_a_whole_network_in_integers_is_all_of_it(residual: Coverage) -> None:
    assert (residual.integer_layers, residual.layers) == (7, 7)
    assert residual.integer_macs == residual.macs > 0
    assert residual.share_of_macs == 1.0
    assert residual.islands == ()
    assert str(residual) == (
        "7 of 7 layers and 100.00 % of 0.1 M multiply-accumulates run in integers; "
        "nothing stayed float."
    )


def test_layers_and_their_work_are_counted_apart(islands: Coverage) -> None:
    assert (islands.integer_layers, islands.layers) == (2, 3)
    assert islands.macs == CONV1 + CONV2 + FC
    assert islands.integer_macs == CONV1 + FC
    assert islands.share_of_macs == pytest.approx((CONV1 + FC) / (CONV1 + CONV2 + FC))


def test_every_island_has_layer_operator_reason_line_and_work(islands: Coverage) -> None:
    by_operator = {island.operator: island for island in islands.islands}
    norm, conv = by_operator["aten.group_norm.default"], by_operator["conv2d"]
    assert {"conv2d", "global_average_pool", "aten.softmax.int"} < set(by_operator)
    assert norm.layer == "norm"
    assert norm.reason.startswith("it divides by a deviation")
    assert norm.line.startswith("nets.py:")
    assert norm.macs == 0
    assert (conv.layer, conv.reason, conv.macs) == ("conv2", "kept float by the recipe", CONV2)


def test_islands_are_printed_with_their_reasons(islands: Coverage) -> None:
    printed = str(islands)
    assert printed.startswith("2 of 3 layers and 27.")
    for word in ("norm", "aten.group_norm.default", "kept float by the recipe"):
        assert word in printed


def test_an_island_costs_a_conversion_in_and_one_out() -> None:
    """Those of the image and of the logits are no island's."""
    inside = nn.Sequential(nn.Conv2d(3, 4, 1), nn.GroupNorm(2, 4), nn.Conv2d(4, 4, 1))
    at_the_end = nn.Sequential(nn.Conv2d(3, 4, 1), nn.GroupNorm(2, 4))
    for net, expected in ((inside, 2), (at_the_end, 1), (nn.Conv2d(3, 4, 1), 0)):
        assert zp.quantize(seeded(net), [images()]).coverage().conversions == expected
    assert "\n2 conversions between integers and float islands:\n" in str(
        zp.quantize(seeded(inside), [images()]).coverage()
    )


def test_an_unknown_operator_that_multiplies_is_a_layer() -> None:
    class Dynamic(nn.Module):
        """A layer whose weight is computed."""

        def __init__(self) -> None:
            super().__init__()
            self.conv, self.last = nn.Conv2d(3, 4, 1), nn.Conv2d(5, 4, 1)

        def forward(self, x: Tensor) -> Tensor:
            y = self.conv(x)
            weight = y.mean((0, 2, 3)).reshape(1, 4, 1, 1).expand(5, 4, 1, 1)
            last: Tensor = self.last(F.conv2d(y, weight))
            return last

    found = zp.quantize(seeded(Dynamic()), [images()]).coverage()
    integer, dynamic = (3 * 4 + 5 * 4) * 64, 4 * 5 * 64
    assert (found.integer_layers, found.layers) == (2, 3)
    (island,) = (island for island in found.islands if island.macs)
    assert (island.operator, island.macs) == ("aten.conv2d.default", dynamic)
    assert found.share_of_macs == pytest.approx(integer / (integer + dynamic))


def test_coverage_is_json_data(islands: Coverage) -> None:
    data = json.loads(json.dumps(islands.to_dict()))
    assert data["integer_layers"] == 2
    assert data["share_of_macs"] == islands.share_of_macs
    keys = {"layer", "operator", "reason", "line", "macs", "is_counted"}
    assert data["islands"][0].keys() == keys


def test_a_program_without_counts_has_no_share_to_tell() -> None:
    program = zp.quantize(seeded(nn.Sequential(nn.Conv2d(3, 4, 1))), [images()]).program
    bare = type(program)(program.graph, program.islands)
    assert coverage(bare).share_of_macs == 1.0
    assert coverage(bare).macs == 0


class Recurrent(nn.Module):
    """A convolution, then a recurrent layer over its columns."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.lstm = nn.LSTM(4, 6, batch_first=True, bidirectional=True)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.lstm(self.conv(x).mean(2).transpose(1, 2))[0]
        return found


class Spectrum(nn.Module):
    """A convolution, and the magnitudes of its spectrum."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = torch.fft.rfft2(self.conv(x)).abs()
        return found


@pytest.mark.filterwarnings("ignore:the model fixes the width:UserWarning")
def test_a_recurrent_layer_is_counted() -> None:
    found = zp.quantize(seeded(Recurrent()), [images()], engine="reference").coverage()
    lstm = next(island for island in found.islands if island.layer == "lstm" and island.macs)
    assert lstm.macs == 2 * 8 * 4 * 6 * (4 + 6)
    assert found.share_of_macs < 1
    assert found.layers == 2
    assert not found.uncounted
    assert "100.00 %" not in str(found)


def test_what_is_not_counted_is_named_and_no_share_is_told() -> None:
    found = zp.quantize(seeded(Spectrum()), [images()], engine="reference").coverage()
    assert [island.operator for island in found.uncounted] == ["aten.fft_rfft2.default"]
    printed = str(found)
    assert "1 island is not counted:" in printed
    assert "(aten.fft_rfft2.default)." in printed
    assert "100.00 %" not in printed
    assert found.to_dict()["uncounted"]
