import json

import pytest

from benchmarks.machine import Machine
from benchmarks.results import filled
from studies.mnist_static.__main__ import HERE, tables

RESULTS = json.loads((HERE / "results.json").read_text())


def test_the_page_shows_the_committed_results() -> None:
    text = tables(RESULTS["seeds"], Machine(**RESULTS["machine"]))
    page = (HERE / "README.md").read_text()
    assert filled(page, {"results": text}) == page


@pytest.mark.parametrize("seed", RESULTS["seeds"])
def test_int8_is_as_accurate_and_a_quarter_of_the_size(seed: str) -> None:
    facts = RESULTS["seeds"][seed]
    net = facts["flips"]["gained"] - facts["flips"]["lost"]
    assert abs(100 * net / facts["samples"]) <= 0.05  # points of accuracy
    assert facts["size_ratio"] >= 3.95
