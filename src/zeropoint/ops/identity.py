"""What does nothing, and therefore leaves no trace: clone, contiguous, detach, ..."""

from collections.abc import Callable

import torch

from zeropoint.graph.build import Builder
from zeropoint.graph.op import Op
from zeropoint.graph.value import Shape, Value


def nothing(to: Builder, shape: Shape, x: Value, *args: object, **kwargs: object) -> Value:
    """The input itself."""
    return x


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
    "aten._to_copy.default": to_dtype,
    "aten.to.dtype": to_dtype,
}
