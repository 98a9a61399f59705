import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

import zeropoint as zp
from tests.nets import Residual, images, seeded
from zeropoint.errors import FileError
from zeropoint.model import QuantizedModel
from zeropoint.render import as_text
from zeropoint.report.page import report as module
from zeropoint.report.page.report import Report, report


@pytest.fixture(scope="module")
def networks() -> tuple[nn.Module, QuantizedModel]:
    model = seeded(Residual())
    return model, zp.quantize(model, [images(16)])


LABELS = torch.tensor([0, 1, 2, 3])


def labelled() -> list[tuple[torch.Tensor, torch.Tensor]]:
    return [(images(seed=seed), LABELS) for seed in range(4)]


@pytest.fixture(scope="module")
def written(
    networks: tuple[nn.Module, QuantizedModel], tmp_path_factory: pytest.TempPathFactory
) -> Report:
    path = tmp_path_factory.mktemp("[report]") / "net.html"
    return report(*networks, labelled(), path, samples=6, latency=False)


def test_the_page_and_the_data_beside_it_are_written(written: Report) -> None:
    assert written.page.name == "net.html"
    assert written.data == written.page.with_suffix(".json")
    assert sorted(file.name for file in written.page.parent.iterdir()) == ["net.html", "net.json"]
    assert written.page.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_the_data_hold_the_same_numbers(written: Report) -> None:
    data = json.loads(written.data.read_text(encoding="utf-8"))
    assert data == written.to_dict()
    assert data["comparison"]["samples"] == 16
    assert data["comparison"]["int8_accuracy"] == written.comparison.int8_accuracy
    assert data["samples"] == written.analysis.samples == 6
    assert len(data["layers"]) == len(written.analysis.layers)


def test_it_prints_the_verdict_and_where_the_page_is(written: Report) -> None:
    assert "accuracy" in str(written)
    assert f"Wrote {written.page}" in as_text(written.__rich__())
    assert "[report]" in str(written)


def test_without_labels_the_accuracy_is_unknown_and_agreement_is_shown(
    networks: tuple[nn.Module, QuantizedModel], tmp_path: Path
) -> None:
    made = report(*networks, [images(4)], tmp_path / "a.html", samples=2, latency=False)
    page = made.page.read_text(encoding="utf-8")
    assert "The accuracy is unknown, since the data came without labels." in page
    assert "decides alike in int8 and in float" in page


def test_a_loader_that_can_be_read_once_is_enough(
    networks: tuple[nn.Module, QuantizedModel], tmp_path: Path
) -> None:
    def once() -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        yield from labelled()

    made = report(*networks, once(), tmp_path / "a.html", samples=5, latency=False)
    assert made.comparison.samples == 16
    assert made.analysis.samples == 5


def test_progress_tells_each_stage(
    networks: tuple[nn.Module, QuantizedModel], tmp_path: Path
) -> None:
    stages: list[str] = []

    def progress(stage: str, done: int, total: int | None) -> None:
        stages.append(stage)

    path = tmp_path / "a.html"
    report(*networks, labelled(), path, samples=2, latency=False, progress=progress)
    assert list(dict.fromkeys(stages)) == ["analyze", "compare", "draw"]


def never() -> Iterator[torch.Tensor]:
    pytest.fail("the loader was read although nothing can be written")
    yield images()


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("nowhere/a.html", "No such file or directory"),
        ("folder.html", "it is a folder"),
        ("a.json", "name it .html"),
    ],
)
def test_a_path_that_cannot_be_written_is_refused_before_any_work(
    networks: tuple[nn.Module, QuantizedModel], tmp_path: Path, path: str, words: str
) -> None:
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(FileError, match=words):
        report(*networks, never(), tmp_path / path)
    assert [file.name for file in tmp_path.iterdir()] == ["folder.html"]


def test_a_folder_where_the_data_would_go_is_refused(
    networks: tuple[nn.Module, QuantizedModel], tmp_path: Path
) -> None:
    (tmp_path / "a.json").mkdir()
    with pytest.raises(FileError, match=r"a\.json cannot be written"):
        report(*networks, never(), tmp_path / "a.html")


def test_without_jinja2_the_extra_is_named_before_any_work(
    networks: tuple[nn.Module, QuantizedModel], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(FileError, match=r"pip install 'zeropoint\[report\]'"):
        report(*networks, never(), tmp_path / "a.html")


def test_an_older_report_stays_if_drawing_the_new_one_fails(
    networks: tuple[nn.Module, QuantizedModel], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(document: object) -> str:
        raise RuntimeError

    path = tmp_path / "a.html"
    path.write_text("old")
    monkeypatch.setattr(module, "render", fails)
    with pytest.raises(RuntimeError):
        report(*networks, labelled(), path, samples=2, latency=False)
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["a.html"]
