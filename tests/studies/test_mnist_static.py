import json

import pytest

from benchmarks.machine import Machine
from studies.mnist_static.__main__ import HERE, between_markers, tables

RESULTS = json.loads((HERE / "results.json").read_text())


def test_the_page_shows_the_committed_results() -> None:
    text = tables(RESULTS["seeds"], Machine(**RESULTS["machine"]))
    page = (HERE / "README.md").read_text()
    assert between_markers(page, text) == page


@pytest.mark.parametrize("seed", RESULTS["seeds"])
def test_int8_is_as_accurate_and_a_quarter_of_the_size(seed: str) -> None:
    facts = RESULTS["seeds"][seed]
    net = facts["flips"]["gained"] - facts["flips"]["lost"]
    assert abs(100 * net / facts["samples"]) <= 0.05  # points of accuracy
    assert facts["size_ratio"] >= 3.95


def test_only_what_is_between_the_markers_is_replaced() -> None:
    page = "before <!-- results -->old<!-- /results --> after"
    assert between_markers(page, "new") == ("before <!-- results -->\nnew\n<!-- /results --> after")
