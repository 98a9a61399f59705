"""Inputs of every kind that a tensor can be of: each is right, or one sentence."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

import zeropoint as zp
from tests.nets import images, seeded
from zeropoint.errors import EngineError
from zeropoint.model import QuantizedModel

SHAPE = (2, 3, 8, 8)


@pytest.fixture(scope="module", params=[engine.name for engine in zp.engines() if engine.usable])
def model(request: pytest.FixtureRequest) -> QuantizedModel:
    net = seeded(nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 2, 1)))
    return zp.quantize(net, [images()], engine=request.param)


class Named(Tensor):
    """A subclass as libraries of images have one."""


class Boxed(Tensor):
    """A subclass that computes by itself and has no memory."""

    @staticmethod
    def __new__(cls) -> "Boxed":
        made: Boxed = Tensor._make_wrapper_subclass(cls, SHAPE)
        return made

    @classmethod
    def __torch_dispatch__(cls, *arguments: Any) -> Any:  # torch's own signature
        raise AssertionError("nobody computes with it")


def fake() -> Tensor:
    with FakeTensorMode():
        return torch.zeros(SHAPE)


def emptied() -> Tensor:
    x = torch.zeros(SHAPE)
    x.untyped_storage().resize_(0)
    return x


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "meta": (lambda: torch.zeros(SHAPE, device="meta"), "on the device meta"),
    "fake": (fake, "has no memory"),
    "boxed": (Boxed, "has no memory"),
    "emptied": (emptied, "was emptied"),
    "sparse": (lambda: torch.zeros(SHAPE).to_sparse(), "layout sparse_coo"),
    "sparse rows": (lambda: torch.zeros(SHAPE).to_sparse_csr(dense_dim=2), "layout sparse_csr"),
    "mkldnn": (lambda: torch.zeros(SHAPE).to_mkldnn(), "layout _mkldnn"),
    "quantized": (
        lambda: torch.quantize_per_tensor(torch.zeros(SHAPE), 1.0, 0, torch.quint8),
        "is torch.quint8",
    ),
    "complex": (lambda: torch.zeros(SHAPE, dtype=torch.complex64), "is torch.complex64"),
    "a list": (lambda: [[0.0]], "is list"),
}


@pytest.mark.filterwarnings("ignore:Sparse")
@pytest.mark.parametrize("kind", REFUSED)
def test_what_has_no_float32_memory_is_refused_in_one_sentence(
    model: QuantizedModel, kind: str
) -> None:
    make, message = REFUSED[kind]
    with pytest.raises(EngineError, match=message) as raised:
        model(make())
    assert "\n" not in str(raised.value)


def test_a_nested_tensor_is_refused(model: QuantizedModel) -> None:
    nested = torch.nested.nested_tensor([torch.zeros(SHAPE[1:])] * 2, layout=torch.jagged)
    with pytest.raises(EngineError):
        model(nested)


def test_no_vmap_goes_through_kernels(model: QuantizedModel) -> None:
    with pytest.raises(EngineError, match="has no memory"):
        torch.func.vmap(model)(torch.zeros(2, *SHAPE))


def test_no_mode_without_memory_is_computed_in(model: QuantizedModel) -> None:
    x = torch.zeros(SHAPE)
    with FakeTensorMode(), pytest.raises(EngineError, match="FakeTensorMode"):
        model(x)


TAKEN: dict[str, Callable[[Tensor], Tensor]] = {
    "a subclass": lambda x: x.as_subclass(Named),
    "a parameter": nn.Parameter,
    "a negative view": lambda x: torch.complex(torch.zeros_like(x), -x).conj().imag,
    "expanded": lambda x: x[:1, :1].expand(SHAPE),
    "turned around": lambda x: x.transpose(2, 3),
    "overlapping": lambda x: x.flatten().as_strided(SHAPE, (64, 16, 4, 1)),
    "every other": lambda x: torch.stack([x, x], -1)[..., 0],
    "in inference": lambda x: x,
    "of one pixel in a row": lambda x: x.as_strided(SHAPE, (192, 64, 8, 1)),
}


@pytest.mark.parametrize("kind", TAKEN)
def test_what_has_memory_is_computed_with_as_it_is(model: QuantizedModel, kind: str) -> None:
    with torch.inference_mode(kind == "in inference"):
        x = TAKEN[kind](torch.randn(SHAPE))
        expected = model(x.detach().as_subclass(Tensor).clone().contiguous())
        assert torch.equal(model(x), expected)


@pytest.mark.parametrize("shape", [(0, 3, 8, 8), (1, 3, 1, 1)])
def test_no_images_give_no_results(model: QuantizedModel, shape: tuple[int, ...]) -> None:
    assert model(torch.zeros(shape)).shape == (shape[0], 2, *shape[2:])


@pytest.mark.parametrize("shape", [(1, 3, 0, 8), (2, 3, 0, 0)])
def test_images_without_pixels_are_refused(model: QuantizedModel, shape: tuple[int, ...]) -> None:
    with pytest.raises(EngineError) as raised:
        model(torch.zeros(shape))
    assert str(shape) in str(raised.value)
