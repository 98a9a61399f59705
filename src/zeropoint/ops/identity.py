"""What does nothing at inference, and therefore leaves no trace: dropout, clone, contiguous, ..."""

from collections.abc import Callable

import torch

from zeropoint.graph.build import Builder
from zeropoint.graph.op import Op
from zeropoint.graph.value import Shape, Value


def nothing(to: Builder, shape: Shape, x: Value, *args: object, **kwargs: object) -> Value:
    """The input itself."""
    return x


def dropout(to: Builder, shape: Shape, x: Value, p: float, train: bool) -> Value | str:
    """Capture of dropout, which eval mode turns off."""
    return "it drops at random even in eval mode" if train and p > 0 else x


def to_dtype(to: Builder, shape: Shape, x: Value, *args: object, **kwargs: object) -> Value | str:
    """Capture of a conversion: nothing from float32 to float32."""
    wanted = [item for item in (*args, *kwargs.values()) if isinstance(item, torch.dtype)]
    if all(dtype == torch.float32 for dtype in wanted):
        return x
    return f"it converts to {wanted[0]}"


OPS: tuple[type[Op], ...] = ()
CAPTURES: dict[str, Callable[..., Value | str]] = {
    "aten.clone.default": nothing,
    "aten.alias.default": nothing,
    "aten.detach.default": nothing,
    "aten.contiguous.default": nothing,
    "aten.lift_fresh_copy.default": nothing,
    "aten.dropout.default": dropout,
    "aten.feature_dropout.default": dropout,
    "aten.alpha_dropout.default": dropout,
    "aten._to_copy.default": to_dtype,
    "aten.to.dtype": to_dtype,
}
