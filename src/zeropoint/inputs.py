"""The inputs of a call, checked before anything computes with them.

Engines hand the addresses of tensors to C. So an input is a plain tensor in the CPU's memory that
holds all of its elements, of the type and the shape that the model takes; whatever else it is, one
sentence says so.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from zeropoint.batches import misfit
from zeropoint.errors import EngineError
from zeropoint.graph.graph import Graph
from zeropoint.graph.value import Plain

PLAIN = (Tensor, nn.Parameter)


def checked(inputs: Sequence[Any], graph: Graph) -> tuple[Tensor, ...]:
    """The inputs, as tensors whose memory holds what they show; EngineError if they cannot be."""
    names = graph.inputs
    if len(inputs) != len(names):
        raise EngineError(
            f"the model takes {len(names)} input(s) ({', '.join(names)}), not {len(inputs)}"
        )
    if torch._C._len_torch_dispatch_stack() and type(torch.empty(0)) is not Tensor:
        raise EngineError(
            "a mode is active in which tensors have no memory (FakeTensorMode, say); an integer "
            "network computes with real ones: call it outside"
        )
    tensors = tuple(
        _tensor(x, name, graph.values[name].type) for x, name in zip(inputs, names, strict=True)
    )
    expected = [graph.values[name].shape for name in names]
    wrong = misfit([x.shape for x in tensors], expected)
    if wrong is not None:
        raise EngineError(
            f"input {names[wrong]!r} has shape {tuple(tensors[wrong].shape)}; the model takes "
            f"({', '.join(map(str, expected[wrong]))})"
        )
    return tensors


def _tensor(x: Any, name: str, type: object) -> Tensor:
    wanted = type.dtype if isinstance(type, Plain) else torch.float32
    if not isinstance(x, Tensor) or x.dtype != wanted:
        found = str(x.dtype) if isinstance(x, Tensor) else x.__class__.__name__
        takes = str(wanted).removeprefix("torch.")
        raise EngineError(f"input {name!r} is {found}; expected a {takes} tensor")
    fault = _fault(x)
    if fault is not None:
        raise EngineError(f"input {name!r} {fault}")
    tensor: Tensor = x if x.__class__ is Tensor else x.as_subclass(Tensor)
    return tensor.resolve_neg() if tensor.is_neg() else tensor


def _fault(x: Tensor) -> str | None:
    """Why the memory of a tensor cannot be read; None if it can."""
    if not x.is_cpu:
        return f"is on the device {x.device}; the model runs on the CPU: pass x.cpu()"
    if x.is_nested or x.layout is not torch.strided:
        layout = "nested" if x.is_nested else str(x.layout).removeprefix("torch.")
        return f"has the layout {layout}; expected a dense tensor: pass x.to_dense()"
    plain = x.__class__ in PLAIN or x.__class__.__torch_dispatch__ is Tensor.__torch_dispatch__
    if not plain or torch._C._functorch.is_functorch_wrapped_tensor(x):
        return (
            "has no memory of its own (FakeTensor, or inside torch.func.vmap or grad); an integer "
            "network computes with real tensors"
        )
    if x.untyped_storage().nbytes() < _bytes_needed(x):
        return "was emptied: its storage is smaller than its shape says"
    return None


def _bytes_needed(x: Tensor) -> int:
    if not x.numel():
        return 0
    last = sum(int((n - 1) * step) for n, step in zip(x.shape, x.stride(), strict=True))
    return (int(x.storage_offset()) + last + 1) * x.element_size()
