from pathlib import Path

import pytest
import torch

import zeropoint as zp
from tests.nets import Residual, images, seeded
from zeropoint.errors import EngineError, FileError
from zeropoint.execute.files import OPENERS, open_file


@pytest.fixture(scope="module")
def q() -> zp.QuantizedModel:
    return zp.quantize(seeded(Residual()), [images()], engine="reference")


@pytest.mark.parametrize("suffix", OPENERS)
def test_a_file_computes_what_the_reference_computes(
    suffix: str, q: zp.QuantizedModel, tmp_path: Path
) -> None:
    path = tmp_path / f"model{suffix}"
    q.export(path)
    executor = open_file(q.program, path, trust=True)
    for batch in (1, 5):
        x = images(batch, seed=1)
        (found,) = executor.run([x])
        assert torch.allclose(found, q(x), rtol=0, atol=1e-5 * q(x).abs().max().item())


@pytest.mark.parametrize("suffix", OPENERS)
def test_an_old_file_is_replaced_and_nothing_else_is_left(
    suffix: str, q: zp.QuantizedModel, tmp_path: Path
) -> None:
    path = tmp_path / f"model{suffix}"
    path.write_text("the old one")
    q.export(path)
    open_file(q.program, path, trust=True)
    beside = {"model.bin"} if suffix == ".xml" else set()
    assert {file.name for file in tmp_path.iterdir()} == {path.name} | beside


@pytest.mark.parametrize("suffix", OPENERS)
def test_a_file_that_is_no_model_is_told(suffix: str, q: zp.QuantizedModel, tmp_path: Path) -> None:
    path = tmp_path / f"model{suffix}"
    path.write_text("nothing of the kind")
    with pytest.raises(EngineError, match="cannot load the model: "):
        open_file(q.program, path, trust=True)


def test_a_file_that_may_run_code_is_loaded_only_if_it_is_trusted(
    q: zp.QuantizedModel, tmp_path: Path
) -> None:
    path = tmp_path / "model.pt2"
    q.export(path)
    with pytest.raises(FileError, match=r"model\.pt2 is not loaded: .* runs whatever code is in"):
        open_file(q.program, path)
    (check,) = zp.verify(q, [images()], engines=[], files=[path]).checks
    assert "pass trust=True (--trust)" in check.failure
    (check,) = zp.verify(q, [images()], engines=[], files=[path], trust=True).checks
    assert check.passes


def test_a_missing_file_is_told(q: zp.QuantizedModel, tmp_path: Path) -> None:
    with pytest.raises(FileError, match="does not exist"):
        open_file(q.program, tmp_path / "model.onnx")


def test_a_file_that_nothing_here_runs_is_told(q: zp.QuantizedModel, tmp_path: Path) -> None:
    (tmp_path / "model.c").write_text("")
    with pytest.raises(EngineError, match=r"files that can: \.onnx, \.xml, \.pt2"):
        open_file(q.program, tmp_path / "model.c")
