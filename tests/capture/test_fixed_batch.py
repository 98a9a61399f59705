"""A model that fixes its batch is quantized for that size, and says so once."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import zeropoint as zp
from tests.nets import images, seeded
from zeropoint.errors import CalibrationError, CaptureError, EngineError, ExportError


class Rows(nn.Module):
    def __init__(self, rows: int) -> None:
        super().__init__()
        self.conv, self.rows = nn.Conv2d(3, 4, 3), rows

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x).reshape(self.rows, -1)
        return y


class Sequence(nn.Module):
    """(T, N, 5): the batch is the second dimension."""

    def __init__(self, kind: Any = nn.LSTM) -> None:
        super().__init__()
        self.recurrent, self.head = kind(5, 6), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.head(self.recurrent(x)[0])
        return y


def test_it_is_quantized_for_that_size_with_the_line(tmp_path: Path) -> None:
    model = seeded(Rows(4))
    with pytest.warns(
        UserWarning, match=r"at test_fixed_batch.py:\d+  y: Tensor = self.conv.*\(4, 3,"
    ):
        q = zp.quantize(model, [images(), images(), images(2)], engine="reference")
    q.save(tmp_path / "q.safetensors")
    again = zp.load(tmp_path / "q.safetensors", "reference")
    for one in (q, again):
        torch.testing.assert_close(one(images()), model(images()), atol=0.1, rtol=0.1)
        with pytest.raises(EngineError, match=r"takes \(4, 3, H, W\)"):
            one(images(3))


def test_a_model_of_one_sample_is_quantized_for_one() -> None:
    class One(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.head = nn.Conv2d(3, 4, 3), nn.Linear(144, 2)

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.head(self.conv(x).reshape(1, -1))
            return y

    with pytest.warns(UserWarning, match=r"takes 'x' \(1, 3, 8, 8\) and nothing else"):
        q = zp.quantize(seeded(One()), [images(1), images(1, seed=1)], engine="reference")
    assert q(images(1)).shape == (1, 2)
    with pytest.raises(CaptureError, match=r"takes one sample at a time, .* yields 4"):
        zp.quantize(seeded(One()), [images()], engine="reference")


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_a_sequence_first_part_is_an_island_and_its_batch_is_free(kind: Any) -> None:
    model, x = seeded(Sequence(kind)), torch.randn(7, 2, 5)
    with pytest.warns(UserWarning, match=r"takes 'x' \(7, N, 5\)"):
        q = zp.quantize(model, [x], engine="reference")
    more = torch.cat([x, x.flip(1)], 1)
    torch.testing.assert_close(q(more), model(more), atol=0.1, rtol=0.1)


def test_an_unbatched_sample_is_named_as_what_it_is() -> None:
    conv = seeded(nn.Sequential(nn.Conv2d(3, 4, 3)))
    dataset: Any = torch.utils.data.TensorDataset(images(), torch.arange(4))  # no Iterable, by type
    for loader in ([images()[0]], dataset):
        with pytest.raises(CaptureError, match=r"yields single samples, of shape \(3, 8, 8\)"):
            zp.quantize(conv, loader, engine="reference")


@pytest.mark.parametrize(
    ("loader", "sentence"),
    [
        (images(), r"the loader is one tensor, of shape \(4, 3, 8, 8\); pass a list"),
        ({"x": images()}, "the loader is a dict with the keys 'x'; pass a list"),
        (None, "the loader is a NoneType; pass an iterable of batches"),
        ("images/", "the loader is a str; pass an iterable"),
        (["a.png"], "the loader yields a str"),
        (iter(()), "the loader yields no batch"),
        ([torch.zeros(0, 3, 8, 8)], "is empty"),
        ([(torch.arange(4), images())], "is int64; the model takes float32.* yield them first"),
    ],
)
def test_what_is_no_loader_is_named(loader: Any, sentence: str) -> None:
    with pytest.raises(CalibrationError, match=sentence):
        zp.quantize(seeded(nn.Sequential(nn.Conv2d(3, 4, 3))), loader, engine="reference")


class Bytes(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x.float() / 255)
        return y


class Ids(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table, self.head = nn.Embedding(10, 8), nn.Linear(8, 3)

    def forward(self, ids: Tensor) -> Tensor:
        y: Tensor = self.head(self.table(ids).mean(1))
        return y


@pytest.mark.filterwarnings("ignore:.*fixes the first dimension")
def test_whatever_runs_the_model_later_takes_that_size_too(tmp_path: Path) -> None:
    model, loader = seeded(Rows(4)), [images(), images(seed=1)]
    q = zp.quantize(model, loader)
    assert q.engine != "reference", q.choice
    q.save(tmp_path / "q.safetensors")
    assert zp.load(tmp_path / "q.safetensors").engine != "reference"
    for suffix in ("onnx", "xml", "pt2"):
        q.export(tmp_path / f"q.{suffix}")
    files = [tmp_path / f"q.{suffix}" for suffix in ("onnx", "xml", "pt2")]
    assert zp.verify(q, loader, files=files, trust=True).passes
    assert list(zp.compare(model, q, loader).latency["int8"]) == [4]
    assert zp.sweep(model, loader, layer="conv", scales=[0.01]).samples == 8
    zp.report(model, q, loader, tmp_path / "report.html")
    with pytest.raises(
        ExportError, match=r"inputs of shape \(4, 3, 8, 8\): flatten takes channels"
    ):
        q.export(tmp_path / "q.c")


@pytest.mark.parametrize("engine", ["reference", "onednn", "openvino", "onnxruntime"])
@pytest.mark.parametrize(
    ("model", "x"),
    [
        (Bytes, torch.arange(768).reshape(4, 3, 8, 8).to(torch.uint8)),
        (Ids, torch.arange(24).reshape(4, 6) % 10),
    ],
)
def test_integers_that_a_model_takes_go_through(
    model: Any, x: Tensor, engine: str, tmp_path: Path
) -> None:
    net = seeded(model())
    q = zp.quantize(net, [x], engine=engine)
    q.save(tmp_path / "q.safetensors")
    found = zp.load(tmp_path / "q.safetensors", engine)(x)
    torch.testing.assert_close(found, net(x), atol=0.1, rtol=0.1)
    with pytest.raises(EngineError, match=str(x.dtype).removeprefix("torch.")):
        q(x.float())


@pytest.mark.parametrize("model", [Bytes, Ids])
def test_integers_go_into_files_and_reports(model: Any, tmp_path: Path) -> None:
    x = torch.arange(24).reshape(4, 6) % 10
    if model is Bytes:
        x = torch.arange(768).reshape(4, 3, 8, 8).to(torch.uint8)
    net = seeded(model())
    q = zp.quantize(net, [x], engine="reference")
    files = [tmp_path / f"q.{suffix}" for suffix in ("onnx", "xml", "pt2")]
    for file in files:
        q.export(file)
    certificate = zp.verify(q, [x], files=files, trust=True)
    assert certificate.passes, certificate
    assert not any(check.failure for check in certificate.checks)
    assert zp.compare(net, q, [x]).sqnr_db > 20
    zp.report(net, q, [x], tmp_path / "report.html", latency=False)
    with pytest.raises(ExportError, match=r"C99 cannot carry .*: it stays float"):
        q.export(tmp_path / "q.c")


def test_int16_has_no_place_in_openvino(tmp_path: Path) -> None:
    x = torch.arange(768).reshape(4, 3, 8, 8).to(torch.int16)
    q = zp.quantize(seeded(Bytes()), [x], engine="reference")
    with pytest.raises(ExportError, match="input 'x' of int16, which OpenVINO"):
        q.export(tmp_path / "q.xml")


def test_black_images_are_warned_of() -> None:
    with pytest.warns(UserWarning, match=r"input 'input' is 0 everywhere in the calibration data"):
        zp.quantize(
            seeded(nn.Sequential(nn.Conv2d(3, 4, 3))), [torch.zeros(4, 3, 8, 8)], engine="reference"
        )
