"""Calls for which torch.export fixes a size that the model leaves free, made otherwise.

F.max_pool1d(x, 3)              torch reads the length in C++    an operator of ours
F.avg_pool2d(x, x.shape[2:])    torch wants a window of numbers  the mean over height and width
F.max_pool2d(x, x.shape[2:])                                     the greatest over both
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import SymInt, Tensor
from torch.overrides import TorchFunctionMode

from zeropoint.capture.origin import running_line

AVERAGE = (
    "input",
    "kernel_size",
    "stride",
    "padding",
    "ceil_mode",
    "count_include_pad",
    "divisor_override",
)
MAXIMUM = ("input", "kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices")

NAMES: dict[Callable[..., Any], tuple[str, ...]] = {
    **dict.fromkeys((F.avg_pool1d, F.avg_pool2d, F.avg_pool3d), AVERAGE),
    **dict.fromkeys((F.max_pool1d, F.max_pool2d, F.max_pool3d), MAXIMUM),
    **dict.fromkeys((torch.max_pool1d, torch.max_pool2d, torch.max_pool3d), MAXIMUM),
}
"""The pools, and what their arguments are called."""

LINES = (F.max_pool1d, torch.max_pool1d)


@torch.library.custom_op("zeropoint::max_pool1d", mutates_args=())
def max_pool1d(
    x: Tensor,
    kernel: list[int],
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    ceil_mode: bool,
) -> Tensor:
    """torch.max_pool1d, as it stands in an exported program."""
    return torch.max_pool1d(x, kernel, stride, padding, dilation, ceil_mode)


@max_pool1d.register_fake
def _shape(
    x: Tensor,
    kernel: list[int],
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    ceil_mode: bool,
) -> Tensor:
    """The pool in two dimensions: its shape is an expression of the length."""
    windows = [1, *kernel], [1, *stride], [0, *padding], [1, *dilation]
    return torch.max_pool2d(x.unsqueeze(-2), *windows, ceil_mode).squeeze(-2)


class FreeSizes(TorchFunctionMode):
    """Makes those calls otherwise, and notes where a size stops being free.

    `fixed` has the user's line by what torch calls the size: "L['args'][0][0].size()[0]".
    """

    def __init__(self) -> None:
        super().__init__()
        self.fixed: dict[str, str] = {}
        self._environment: Any = None  # torch's own, which has no public type
        self._known = 0

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """The call of `func`, or what stands for it."""
        named = dict(kwargs or {})
        if torch.compiler.is_dynamo_compiling():  # a branch of torch.cond
            return _called(func, args, named)
        self._look(args)
        result = _called(func, args, named)
        self._look(args)
        return result

    def batch_line(self) -> str:
        """The user's line that turned the first size of an input into a number; "" if none did."""
        lines = [line for size, line in self.fixed.items() if size.endswith("size()[0]")]
        return lines[0] if lines else ""

    def _look(self, operands: Sequence[Any]) -> None:
        """Note which sizes have become numbers since the last time."""
        if self._environment is None:
            tensors = [x for x in operands if isinstance(x, Tensor)]
            sizes: list[Any] = [size for x in tensors for size in x.shape]
            free = [size for size in sizes if isinstance(size, SymInt)]
            self._environment = free[0].node.shape_env if free else None
        environment = self._environment
        if environment is None or len(environment.replacements) == self._known:
            return
        self._known = len(environment.replacements)
        for symbol, meant in environment.replacements.items():
            sources = environment.var_to_sources.get(symbol, ())
            if meant.is_number and sources:
                self.fixed.setdefault(str(sources[0].name), running_line())


def _called(func: Callable[..., Any], args: tuple[Any, ...], named: dict[str, Any]) -> Any:
    if func in NAMES:
        call = dict(zip(NAMES[func], args, strict=False)) | named
        if _whole_image(call):
            x = call["input"]
            reduce = torch.mean if NAMES[func] is AVERAGE else torch.amax
            return reduce(x, tuple(range(2, x.ndim)), keepdim=True)
        if func in LINES and not call.pop("return_indices", False):
            return _line(**call)
    return func(*args, **named)


def _whole_image(call: Mapping[str, Any]) -> bool:
    """True if the pool has one window, as large as an image of any size.

    Expressions are compared: to compare free sizes themselves fixes them, as they may differ.
    """
    shape, window = call["input"].shape[2:], call["kernel_size"]
    window = tuple(window) if isinstance(window, Sequence) else (window,) * len(shape)
    return (
        any(isinstance(size, SymInt) for size in window)
        and [str(size) for size in window] == [str(size) for size in shape]
        and not any(call.get(name) for name in ("padding", "divisor_override", "return_indices"))
    )


def _line(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
) -> Any:
    sizes = (kernel_size, stride or kernel_size, padding, dilation)
    windows = [list(size) if isinstance(size, Sequence) else [size] for size in sizes]
    return max_pool1d(input, *windows, ceil_mode)
