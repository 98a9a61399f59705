"""What is no model, or none that can be captured, is told in a sentence."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import zeropoint as zp
from tests.nets import Residual, images, seeded
from zeropoint.capture import capture
from zeropoint.capture.acceptance import check_model
from zeropoint.errors import CaptureError


def conv() -> nn.Module:
    return seeded(nn.Sequential(nn.Conv2d(3, 4, 3)))


class Observed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        from torch.ao.quantization.observer import MinMaxObserver  # slow to import

        self.conv, self.watch = nn.Conv2d(3, 4, 3), MinMaxObserver()


def with_scripted_part() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 3, 1), torch.jit.script(nn.ReLU()))


def quantized() -> object:
    return zp.quantize(conv(), [images()], engine="reference")


MODELS: dict[str, tuple[Callable[[], Any], str]] = {
    "None": (lambda: None, "the model is None; pass an nn.Module"),
    "a function": (lambda: lambda x: x, "the model is a function; pass an nn.Module"),
    "a state dict": (lambda: conv().state_dict(), "as a state dict is; .* load_state_dict"),
    "a class": (lambda: Residual, r"Residual is a class, not a model; make one of it"),
    "a q": (quantized, "is quantized already; pass the float model"),
    "a lazy module": (lambda: nn.LazyConv2d(3, 1), "parameter 'weight' has no shape yet"),
    "a meta module": (lambda: nn.Conv2d(3, 4, 3, device="meta"), "meta device and holds no num"),
    "half": (lambda: conv().half(), "is float16; .* pass model.float"),
    "complex": (lambda: nn.Linear(3, 4, dtype=torch.complex64), "is complex64"),
    "observed": (Observed, "'watch' is a MinMaxObserver of torch.ao.quantization, .* prepare"),
    "a scripted part": (with_scripted_part, "its part '1' went through torch.jit"),
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(("make", "sentence"), MODELS.values(), ids=MODELS)
def test_what_cannot_be_captured_is_named(make: Callable[[], Any], sentence: str) -> None:
    with pytest.raises(CaptureError, match=sentence):
        check_model(make())
    with pytest.raises(CaptureError, match=sentence):
        zp.quantize(make(), [images()], engine="reference")


class Masked(nn.Module):
    def __init__(self, mask: float, unread: float) -> None:
        super().__init__()
        self.conv = seeded(nn.Conv2d(3, 4, 3))
        self.register_buffer("mask", torch.tensor([0.0, mask, 0.0, mask]))
        self.register_buffer("unread", torch.tensor(unread))

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x).mean((2, 3))
        return torch.softmax(y + self.mask, 1)


def test_masks_of_minus_infinity_and_buffers_that_nobody_reads_refuse_nobody() -> None:
    capture(Masked(-torch.inf, torch.nan), (images(),))


@pytest.mark.parametrize("value", [torch.inf, torch.nan])
def test_a_buffer_that_is_read_and_not_finite_is_named(value: float) -> None:
    with pytest.raises(CaptureError, match=r"buffer 'mask' holds NaN or infinity"):
        capture(Masked(value, 0.0), (images(),))
