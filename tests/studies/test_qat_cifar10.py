import json

import pytest

from benchmarks.results import filled
from studies.qat_cifar10.__main__ import HERE
from studies.qat_cifar10.runs import SCHEMES, SEEDS

RESULTS = json.loads((HERE / "results.json").read_text())
RIGHT = RESULTS["right"]


def test_the_page_shows_the_committed_results() -> None:
    page = (HERE / "README.md").read_text()
    assert filled(page, RESULTS["tables"]) == page


@pytest.mark.parametrize("scheme", SCHEMES)
def test_training_at_8_bits_is_not_below_float(scheme: str) -> None:
    """By more than the standard error of the paired difference over three seeds."""
    found = RESULTS["trained"][scheme]
    assert found["points"] >= -found["error"]
    net = sum(RIGHT[f"qat {scheme} 8 {s}"] - RIGHT[f"float tuned {s}"] for s in SEEDS)
    assert abs(net / len(SEEDS) / 100 - found["points"]) < 1e-9


def test_the_articles_schedule_alone_costs_two_points() -> None:
    assert RIGHT["control 0"] <= RIGHT["float"] - 200
