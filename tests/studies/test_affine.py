import json
from dataclasses import asdict
from typing import Any

import pytest

from benchmarks.results import filled
from studies.affine.__main__ import HERE, bits_facts, texts
from studies.affine.folding import CASES, folding
from studies.affine.mistakes import evidence
from studies.affine.printed import reproduce

RESULTS = json.loads((HERE / "results.json").read_text())
MISTAKES = {row["quantity"]: row for row in RESULTS["mistakes"]}
FOLDED = 1e-6


def test_the_page_shows_the_committed_results() -> None:
    page = (HERE / "README.md").read_text()
    assert filled(page, texts(RESULTS)) == page


def test_the_committed_results_are_what_is_computed_now() -> None:
    assert_alike(RESULTS["printed"], [asdict(each) for each in reproduce()])
    assert_alike(RESULTS["mistakes"], [asdict(each) for each in evidence()])
    assert_alike(RESULTS["bits"], bits_facts())


def assert_alike(committed: Any, found: Any) -> None:  # as JSON nests them
    """Equal but for the rounding of float32 sums, which differs between machines."""
    if isinstance(committed, dict):
        assert committed.keys() == found.keys()
        for key, value in committed.items():
            assert_alike(value, found[key])
    elif isinstance(committed, list):
        for ours, theirs in zip(committed, found, strict=True):
            assert_alike(ours, theirs)
    elif isinstance(committed, float):
        assert found == pytest.approx(committed, rel=1e-4, abs=1e-5)
    else:
        assert found == committed


# --- the notebook ------------------------------------------------------------------------------


def test_every_printed_number_is_reproduced() -> None:
    assert sum(row["numbers"] for row in RESULTS["printed"]) == 64
    for row in RESULTS["printed"]:
        assert row["same_completed"] == row["numbers"]
        assert row["largest_difference"] < (0.002 if "codes" in row["what"] else 0.0001)


@pytest.mark.parametrize("quantity", [name for name, row in MISTAKES.items() if row["ideal"]])
def test_every_mistake_is_mended(quantity: str) -> None:
    row = MISTAKES[quantity]
    mended, broken = (abs(row[who] - row["ideal"]) for who in ("zeropoint", "notebook"))
    assert mended < broken / 5


def test_zero_comes_back_as_zero() -> None:
    row = MISTAKES["0 comes back from uint8 as"]
    assert row["notebook"] < -0.01
    assert row["zeropoint"] == 0


def test_nothing_moves_by_more_than_half_a_step() -> None:
    row = MISTAKES["largest error from uint8"]
    step = (3.2285 + 2.2066) / 255
    assert row["notebook"] > 0.99 * step
    assert row["zeropoint"] <= 0.51 * step


@pytest.mark.parametrize("quantity", [name for name in MISTAKES if name.endswith("dB")])
def test_layers_and_networks_come_back_by_30_dB_better(quantity: str) -> None:
    row = MISTAKES[quantity]
    assert row["zeropoint"] > row["notebook"] + 30
    assert row["zeropoint"] > 40


def test_the_fused_layer_is_the_two_layers() -> None:
    new = MISTAKES["largest difference, new batch norm"]
    trained = MISTAKES["largest difference, trained batch norm"]
    assert new["notebook"] > 1e-5
    assert trained["notebook"] > 1
    assert max(new["zeropoint"], trained["zeropoint"]) < 1e-5


# --- bits --------------------------------------------------------------------------------------


@pytest.mark.parametrize("tensor", RESULTS["bits"])
@pytest.mark.parametrize("mode", ["asymmetric", "symmetric"])
def test_the_range_of_least_error_is_never_behind_the_notebook(tensor: str, mode: str) -> None:
    ways = RESULTS["bits"][tensor]
    for bits, error in ways[f"{mode}, zeropoint MSE"].items():
        assert error["sqnr_db"] > ways[f"{mode}, notebook"][bits]["sqnr_db"] - 0.05


@pytest.mark.parametrize("tensor", ["4x4 tensor", "photograph"])
def test_the_notebooks_symmetric_grid_gains_nothing_from_more_bits(tensor: str) -> None:
    ways = RESULTS["bits"][tensor]
    gain = {
        way: errors["8"]["sqnr_db"] - errors["6"]["sqnr_db"] for way, errors in ways.items()
    }  # 6 dB a bit is what there is to gain
    assert gain["symmetric, notebook"] < 1
    assert gain["symmetric, zeropoint"] > 10


# --- folding -----------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES)
def test_a_folded_batch_norm_is_the_same_function(case: str) -> None:
    for facts in (RESULTS["folding"][case], asdict(folding(CASES[case]))):
        assert facts["operators"] == ["conv2d"]
        assert facts["float64"] < 1e-14
        assert facts["float32"] < FOLDED


@pytest.mark.parametrize("case", ["with bias", "stride 2", "padding 2"])
def test_the_notebook_folds_right_and_fuses_wrong(case: str) -> None:
    assert RESULTS["folding"][case]["fold"] < FOLDED
    assert RESULTS["folding"][case]["fuse"] > 0.1


# --- speed -------------------------------------------------------------------------------------


def test_fusion_is_faster_and_int8_faster_still() -> None:
    times_as_fast = RESULTS["speed"]["times_as_fast"]
    assert times_as_fast["int8"] > times_as_fast["fused"] > 1
    assert RESULTS["speed"]["sqnr_db"] > 40
