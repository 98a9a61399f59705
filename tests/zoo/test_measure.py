import json
from pathlib import Path
from typing import Any

import pytest

from zoo import inputs, measure
from zoo.measure import DONE, PEERS_TOO, TIMES, Settings
from zoo.peers import ONEDNN, PEERS, Row
from zoo.registry import network_named

TIMED = {"milliseconds": 1.5, "speed_vs_float": 2.0, "speed_vs_openvino": 0.5}
KEPT: dict[str, Any] = {
    "auto": {"engine": "onednn", "candidates": {}},
    "cores_used_by_others": 0.25,
    "engines": [
        {"engine": name, "failure": "", "prepare_seconds": 9.0, "sqnr_db": -9.0, **TIMED}
        for name in (ONEDNN, *(peer.name for peer in PEERS))
    ],
}


@pytest.fixture(autouse=True)
def few_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "stored", lambda split: None)
    monkeypatch.setattr(measure, "CALIBRATION_IMAGES", 8)
    monkeypatch.setattr(measure, "TEST_IMAGES", 4)


def measured(folder: Path, keep: str) -> dict[str, Any]:
    settings = Settings(threads=1, keep=keep, kept=KEPT)
    measure.measure(network_named("lenet5"), settings, folder / "lenet5.json")
    found: dict[str, Any] = json.loads((folder / "lenet5.json").read_text())
    return found


def test_with_the_peers_kept_only_ours_is_measured_anew(tmp_path: Path) -> None:
    found = measured(tmp_path, PEERS_TOO)
    ours, *theirs = found["engines"]
    assert found["stage"] == DONE
    assert theirs == KEPT["engines"][1:]
    assert ours == {**KEPT["engines"][0], **{n: ours[n] for n in ("prepare_seconds", "sqnr_db")}}
    assert ours["sqnr_db"] == found["sqnr_db"] > 20
    assert found["auto"] == KEPT["auto"]
    assert found["cores_used_by_others"] == 0.25


def test_with_the_times_kept_the_others_are_measured_anew_but_for_the_float_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared: list[str] = []

    def prepare(name: str, *rest: object) -> Row:
        prepared.append(name)
        return Row(name, sqnr_db=30.0)

    monkeypatch.setattr(measure, "prepare", prepare)
    found = measured(tmp_path, TIMES)
    _, compiled, *others = found["engines"]
    assert compiled == KEPT["engines"][1]
    assert prepared == [row["engine"] for row in others]
    for row in others:
        assert row["sqnr_db"] == 30.0
        assert {name: row[name] for name in TIMED} == TIMED
