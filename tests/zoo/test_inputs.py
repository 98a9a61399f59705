from pathlib import Path

import pytest
import torch

from zoo import inputs


@pytest.fixture(autouse=True)
def seeded_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "stored", lambda split: None)


@pytest.mark.parametrize(
    ("function", "shape"),
    [
        (inputs.images, (3, 20, 24)),
        (inputs.images, (1, 20, 24)),
        (inputs.clips, (3, 4, 16, 16)),
        (inputs.sounds, (1, 1000)),
        (inputs.sounds, (2, 1000)),
        (inputs.bands, (40, 20)),
        (inputs.spectrograms, (1, 40, 20)),
        (inputs.frames, (20, 40)),
        (inputs.noise, (100, 1, 1)),
    ],
)
def test_inputs_have_the_shape_and_are_of_unit_size(
    function: inputs.Inputs, shape: tuple[int, ...]
) -> None:
    x = function(shape, 5, "train")
    assert x.shape == (5, *shape)
    assert x.dtype == torch.float32
    assert x.isfinite().all()
    assert 0.5 < x.std() < 2
    assert torch.equal(x, function(shape, 5, "train"))
    assert not torch.equal(x, function(shape, 5, "test"))


def test_no_two_bands_are_empty() -> None:
    x = inputs.bands((40, 20), 3, "train")
    assert (x.std((0, 2)) > 0).all()


def test_without_the_data_images_are_seeded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(inputs, "CACHE", tmp_path)
    monkeypatch.setattr(inputs, "dataset", lambda split: str(tmp_path / "missing.parquet"))
    inputs.stored.cache_clear()
    assert inputs.stored("train") is None
    inputs.stored.cache_clear()


def test_stored_images_are_scaled_normalized_and_mirrored_where_they_do_not_suffice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pixels = torch.arange(2 * 3 * 32 * 32).remainder(256).to(torch.uint8).view(2, 3, 32, 32)
    monkeypatch.setattr(inputs, "stored", lambda split: pixels)
    x = inputs.images((3, 32, 32), 4, "train")
    assert torch.allclose(x[2], x[0].flip(-1), atol=1e-5)
    assert inputs.images((1, 64, 64), 4, "train").shape == (4, 1, 64, 64)
