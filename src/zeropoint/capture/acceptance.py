"""What is no model to capture, in a sentence: before any work is done."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from zeropoint.errors import CaptureError

OBSERVERS = {
    "torch.ao.quantization.observer.ObserverBase",
    "torch.ao.quantization.fake_quantize.FakeQuantizeBase",
}
"""What torch.ao puts into a model that it prepares; known by name: importing it is slow."""

QUANTIZED = "torch.ao.nn.quantized."
FLOAT_OF_QUANTIZED = {"FloatFunctional", "FXFloatFunctional"}


def check_model(model: object) -> None:
    """CaptureError unless it is a module of float32 parameters, all of them there and finite."""
    _check_kind(model)
    assert isinstance(model, nn.Module)
    _check_parts(model)
    _check_tensors(model)


def _check_kind(model: object) -> None:
    if isinstance(model, nn.Module):
        return
    if isinstance(model, type) and issubclass(model, nn.Module):
        raise CaptureError(
            f"{model.__name__} is a class, not a model; make one of it, {model.__name__}(...), and "
            "load its weights"
        )
    if isinstance(model, Mapping):
        raise CaptureError(
            f"the model is a {type(model).__name__} of {len(model)} entries, as a state dict is; "
            "make the nn.Module and call its load_state_dict()"
        )
    if type(model).__name__ == "QuantizedModel":
        raise CaptureError(f"{model!r} is quantized already; pass the float model it was made of")
    found = "None" if model is None else f"a {type(model).__name__}"
    raise CaptureError(f"the model is {found}; pass an nn.Module with its weights")


def _check_parts(model: nn.Module) -> None:
    if type(model).__name__ == "QuantizedModel":
        raise CaptureError(f"{model!r} is quantized already; pass the float model it was made of")
    for path, module in model.named_modules():
        which = f"its part {path!r}" if path else "the model"
        if isinstance(module, torch.jit.ScriptModule) or hasattr(module, "_orig_mod"):
            how = "torch.compile" if hasattr(module, "_orig_mod") else "torch.jit"
            raise CaptureError(
                f"{which} went through {how}, which hides its layers; pass the nn.Module from "
                "before"
            )
        bases = {f"{base.__module__}.{base.__qualname__}" for base in type(module).__mro__}
        if bases & OBSERVERS:
            raise CaptureError(
                f"{which} is a {type(module).__name__} of torch.ao.quantization, which another "
                "quantizer has put there; pass the model from before prepare()"
            )
        if type(module).__module__.startswith(QUANTIZED) and (
            type(module).__name__ not in FLOAT_OF_QUANTIZED
        ):
            raise CaptureError(
                f"{which} is quantized already, by torch.ao; pass the float model it was made of"
            )


def _check_tensors(model: nn.Module) -> None:
    for kind, tensors in (
        ("parameter", model.named_parameters()),
        ("buffer", model.named_buffers()),
    ):
        for name, tensor in tensors:
            _check_tensor(f"{kind} {name!r}", tensor)
    for name, parameter in model.named_parameters():
        if parameter.is_floating_point() and not torch.isfinite(parameter).all():
            raise CaptureError(_not_finite(f"parameter {name!r}"))


def _check_tensor(what: str, tensor: Tensor) -> None:
    if isinstance(tensor, UninitializedParameter | UninitializedBuffer):
        raise CaptureError(
            f"{what} has no shape yet, since it is of a lazy module; call the model on one batch "
            "first, and train it or load its weights"
        )
    if tensor.is_meta:
        raise CaptureError(
            f"{what} is on the meta device and holds no numbers; load the weights onto the CPU"
        )
    if (tensor.is_floating_point() or tensor.is_complex()) and tensor.dtype != torch.float32:
        raise CaptureError(
            f"{what} is {str(tensor.dtype).removeprefix('torch.')}; zeropoint quantizes float32 "
            "models: pass model.float()"
        )


def check_finite(model: nn.Module, read: Mapping[str, Tensor]) -> None:
    """CaptureError if a buffer that is read holds what is not finite; -inf in it is a mask."""
    for name, buffer in model.named_buffers():
        if name in read and bool((buffer.isnan() | buffer.isposinf()).any()):
            raise CaptureError(_not_finite(f"buffer {name!r}"))


def _not_finite(what: str) -> str:
    return f"{what} holds NaN or infinity; repair or reload the weights first"
