import json
import sys
from pathlib import Path
from typing import Any

import pytest

from zoo import run
from zoo.measure import DONE, TIMES, Settings
from zoo.registry import NETWORKS, network_named

NETWORK = network_named("espcn")
LIMITS = run.Limits(seconds=30, mebibytes=4096)


def script(*lines: str) -> list[str]:
    return [sys.executable, "-c", "\n".join(lines), "--threads", "1"]


def test_words_choose_by_name_or_by_a_part_of_it() -> None:
    assert [network.name for network in run.matching(["unet"])][:2] == ["unet"]
    assert {"transformers_bit", "alexnet"} == {
        network.name for network in run.matching(["transformers_bit", "alexnet"])
    }
    assert run.matching([]) == list(NETWORKS)
    with pytest.raises(ValueError, match="no network 'nothing'"):
        run.matching(["nothing"])


def test_shards_are_the_whole_zoo_once() -> None:
    parts = [run.shard(list(NETWORKS), f"{number}/3") for number in (1, 2, 3)]
    assert sorted(n.name for part in parts for n in part) == sorted(n.name for n in NETWORKS)


def test_a_process_that_ends_well_says_nothing() -> None:
    assert run.watched(script("pass"), LIMITS) == ""


def test_a_process_that_dies_is_told_with_its_last_line() -> None:
    told = run.watched(script("import sys", "sys.exit('out of luck')"), LIMITS)
    assert told == "the process ended with 1; out of luck"


def test_a_process_that_takes_too_long_is_ended() -> None:
    limits = run.Limits(seconds=0.5, mebibytes=4096)
    assert run.watched(script("import time", "time.sleep(60)"), limits) == "more than 0 s"


def test_a_process_that_takes_too_much_is_ended() -> None:
    limits = run.Limits(seconds=30, mebibytes=100)
    told = run.watched(script("import time", "x = bytearray(300 << 20)", "time.sleep(60)"), limits)
    assert told.endswith("MiB, more than 100")


class Process:
    """Stands in for `watched`: writes how far each attempt came, and dies there."""

    def __init__(self, *stages: str) -> None:
        self.stages, self.words = list(stages), []  # type: list[str], list[list[str]]

    def __call__(self, words: list[str], limits: run.Limits) -> str:
        self.words.append(words)
        stage = self.stages.pop(0)
        file = Path(words[words.index("--file") + 1])
        if stage:
            file.write_text(json.dumps({"name": "espcn", "stage": stage}))
        return "" if stage == DONE else "it died"


def measured(
    monkeypatch: pytest.MonkeyPatch, file: Path, *stages: str
) -> tuple[dict[str, Any], list[list[str]]]:
    process = Process(*stages)
    monkeypatch.setattr(run, "watched", process)
    return run.apart(NETWORK, Settings(threads=1), file, LIMITS), process.words


def test_an_engine_that_takes_the_process_with_it_is_left_out_and_the_rest_measured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found, words = measured(monkeypatch, tmp_path / "espcn.json", "openvino int8", DONE)
    assert found["stage"] == DONE
    assert "--without" not in words[0]
    assert words[1][-2:] == ["--without", "openvino int8"]


@pytest.mark.parametrize(("stage", "blamed"), [("quantize", "quantize"), ("", "build")])
def test_a_network_that_takes_the_process_with_it_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, stage: str, blamed: str
) -> None:
    file = tmp_path / "espcn.json"
    found, _ = measured(monkeypatch, file, stage)
    assert found["failures"] == {blamed: "it died"}
    assert run.is_complete(file, quick=False)


def test_a_quick_result_does_not_do_for_a_whole_run(tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    assert not run.is_complete(file, quick=True)
    file.write_text(json.dumps({"stage": DONE, "quick": True}))
    assert run.is_complete(file, quick=True)
    assert not run.is_complete(file, quick=False)
    file.write_text(json.dumps({"stage": "quantize"}))
    assert not run.is_complete(file, quick=True)


def test_a_result_is_set_aside_once_to_be_kept_from(tmp_path: Path) -> None:
    file = tmp_path / "results" / "x.json"
    file.parent.mkdir()
    done = {"stage": DONE, "quick": False, "kept": ""}
    file.write_text(json.dumps(done))
    run.set_aside(file, TIMES, fresh=False)
    assert not file.exists()
    assert run.read(run.aside(file)) == done
    file.write_text(json.dumps({**done, "kept": TIMES}))
    run.set_aside(file, TIMES, fresh=False)
    assert run.is_complete(file, quick=False)
    run.set_aside(file, TIMES, fresh=True)
    assert not file.exists()
    assert run.read(run.aside(file))["kept"] == TIMES


def test_what_was_not_carried_to_its_end_is_not_kept_from(tmp_path: Path) -> None:
    file = tmp_path / "results" / "x.json"
    file.parent.mkdir()
    file.write_text(json.dumps({"stage": "quantize"}))
    run.set_aside(file, TIMES, fresh=False)
    assert run.read(run.aside(file)) == {}
