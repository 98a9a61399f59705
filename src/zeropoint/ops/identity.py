"""What does nothing, and therefore leaves no trace: clone, contiguous, detach, ..."""

from collections.abc import Callable

import torch

from zeropoint.graph.build import Builder
from zeropoint.graph.op import Op
from zeropoint.graph.value import Plain, Shape, Value


def nothing(to: Builder, shape: Shape, x: Value, *args: object, **kwargs: object) -> Value:
    """The input itself."""
    return x


def to_dtype(to: Builder, shape: Shape, x: Value, *args: object, **kwargs: object) -> Value | str:
    """Capture of a conversion: nothing where x is of the type already."""
    given = (*args, *kwargs.values())
    wanted = [item for item in given if isinstance(item, torch.dtype)]
    wanted += [v.type.dtype for v in given if isinstance(v, Value) and isinstance(v.type, Plain)]
    found = x.type.dtype if isinstance(x.type, Plain) else None
    if all(dtype == found for dtype in wanted):
        return x
    return f"it converts {title(found)} to {title(wanted[0])}"


def title(dtype: torch.dtype | None) -> str:
    """The name of a type without its package."""
    return str(dtype).removeprefix("torch.")


OPS: tuple[type[Op], ...] = ()
CAPTURES: dict[str, Callable[..., Value | str]] = {
    "aten.clone.default": nothing,
    "aten.alias.default": nothing,
    "aten.detach.default": nothing,
    "aten.contiguous.default": nothing,
    "aten.lift_fresh_copy.default": nothing,
    "aten._to_copy.default": to_dtype,
    "aten.to.device": to_dtype,
    "aten.to.dtype": to_dtype,
    "aten.to.dtype_layout": to_dtype,
    "aten.to.other": to_dtype,
    "aten.type_as.default": to_dtype,
}
