"""The user's defaults of torch."""

from collections.abc import Iterator

import pytest
import torch
from torch import nn

import zeropoint as zp
from tests.nets import images, seeded
from zeropoint.ambient import is_plain, plain


@pytest.fixture(autouse=True)
def defaults() -> Iterator[None]:
    yield
    torch.set_default_dtype(torch.float32)
    torch.set_default_device(None)


def test_defaults_are_set_aside_and_come_back() -> None:
    assert is_plain()
    torch.set_default_dtype(torch.float64)
    torch.set_default_device("meta")
    assert not is_plain()
    with plain():
        assert torch.zeros(1).dtype == torch.float32
        assert torch.zeros(1).device.type == "cpu"
    assert torch.zeros(1).dtype == torch.float64
    assert torch.zeros(1).device.type == "meta"


@pytest.mark.parametrize("engine", [e.name for e in zp.engines() if e.usable])
def test_a_model_made_and_called_under_other_defaults_computes_the_same(engine: str) -> None:
    model = seeded(nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1)))
    program = zp.quantize(model, [images()], engine="reference").program
    before = zp.model.QuantizedModel(program, engine)
    expected = before(images())
    x = images()
    torch.set_default_dtype(torch.float64)
    torch.set_default_device("meta")
    assert torch.equal(before(x), expected)
    assert torch.equal(zp.model.QuantizedModel(program, engine)(x), expected)
