"""What a graph cannot hold: state from call to call, chance, what forward() takes for fixed.

    y1, y2 = model(x), model(x)     differ: the model keeps something, or draws random numbers
    graph(x), model(x)              differ: torch.export has taken something for a constant

The model is asked, since no program shows all of it: a number that is an attribute and counts
calls is a constant of the exported program.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from zeropoint.capture.evaluating import Remembered
from zeropoint.capture.origin import running_line
from zeropoint.errors import CaptureError
from zeropoint.graph.graph import Graph
from zeropoint.graph.structure import leaves_of
from zeropoint.graph.walk import walk
from zeropoint.notice import warn

SAME = 1e-5
"""How far an output of two equal calls may be off, in parts of the output's norm."""

CLOSE = 1e-3
"""How far an output may be off, in parts of the output's norm, for rounding in another order."""

TINY = 1e-9
"""What an output of zeros may be off."""

FLIPPED = 0.1
"""How many of an output's indices may differ, as they do where two maxima are nearly equal."""


def check_repeatable(model: nn.Module, example: Sequence[Tensor], before: Remembered) -> None:
    """CaptureError if a call's outputs depend on the calls before it, or on chance."""
    first = _outputs(model, example)
    _outputs(model, [_other(x) for x in example])
    if _differ(first, _outputs(model, example), SAME) is None:
        return
    changed = before.changes()
    before.restore()
    chance = _chance(model, example)
    before.restore()
    if chance is not None:
        raise CaptureError(
            f"{type(model).__name__} draws random numbers in eval mode ({chance}): two calls give "
            "different outputs, and a quantized network gives the same; draw in training only, as "
            "F.dropout(x, p, training=self.training) does"
        )
    if changed:
        names = ", ".join(map(repr, changed[:3])) + (", ..." if len(changed) > 3 else "")
        raise CaptureError(
            f"{type(model).__name__} keeps state from call to call ({names}): the same inputs give "
            "other outputs the next time, and a quantized network has no memory; pass what is kept "
            "as an input and return it as an output"
        )
    raise CaptureError(
        f"{type(model).__name__} gives other outputs for the same inputs the next time, and a "
        "quantized network gives the same; take what it remembers or draws outside of its modules "
        "out of forward()"
    )


def check_same(model: nn.Module, graph: Graph, example: Sequence[Tensor]) -> None:
    """CaptureError if the graph computes something else than the model; a warning for shapes.

    They are compared on the example, and on its first sample where the batch is free.
    """
    _compare(model, graph, example)
    free = [
        bool(s) and isinstance(s[0], str) for s in (graph.values[n].shape for n in graph.inputs)
    ]
    if not any(free) or all(len(x) == 1 for x, f in zip(example, free, strict=True) if f):
        return
    one = [x[:1] if f else x for x, f in zip(example, free, strict=True)]
    try:
        expected = _outputs(model, one)
    except Exception:  # a model may refuse a single sample; whatever the user's code raises
        return
    found = _outputs_of(graph, one)
    pairs = [(tuple(a.shape), tuple(b.shape)) for a, b in zip(expected, found, strict=False)]
    other = next((pair for pair in pairs if pair[0] != pair[1]), None)
    if other is not None:
        warn(
            f"of a single sample the quantized network gives {other[1]} where the model gives "
            f"{other[0]}: it squeezes its batch away, or branches on its size; squeeze a dimension "
            "by its number"
        )
        return
    _raise_if(model, _differ(expected, found))


def _compare(model: nn.Module, graph: Graph, example: Sequence[Tensor]) -> None:
    _raise_if(model, _differ(_outputs(model, example), _outputs_of(graph, example)))


def _raise_if(model: nn.Module, difference: str | None) -> None:
    if difference is not None:
        raise CaptureError(
            f"the graph that was captured computes something else than {type(model).__name__}: "
            f"{difference}; forward() depends on something that torch.export takes for fixed, such "
            "as a global, the clock, or a size that it turned into a number"
        )


def _outputs(model: nn.Module, inputs: Sequence[Tensor]) -> list[Tensor]:
    """Copies of the model's outputs: a model may write into what it has returned."""
    outputs = leaves_of(model(*[x.clone() for x in inputs]))
    return [y.detach().clone() for y in outputs if isinstance(y, Tensor)]


def _outputs_of(graph: Graph, inputs: Sequence[Tensor]) -> list[Tensor]:
    return [y for y in walk(graph, [x.clone() for x in inputs]) if isinstance(y, Tensor)]


def _other(x: Tensor) -> Tensor:
    """An input of other contents; integers stay, as they may be offsets in an order."""
    return 0.5 * x.flip(-1) + 0.1 if x.is_floating_point() and x.ndim else x


def _differ(expected: Sequence[Tensor], found: Sequence[Tensor], most: float = CLOSE) -> str | None:
    """How two lists of outputs differ, in words; None if they are alike."""
    if len(expected) != len(found):
        return f"{len(found)} outputs instead of {len(expected)}"
    for index, (a, b) in enumerate(zip(expected, found, strict=True)):
        what = f"output {index} "
        if a.shape != b.shape:
            return f"{what}has shape {tuple(b.shape)} instead of {tuple(a.shape)}"
        if a.dtype != b.dtype:
            return f"{what}is {b.dtype} instead of {a.dtype}"
        if not _is_close(a, b, most):
            return f"{what}has other contents"
    return None


def _is_close(a: Tensor, b: Tensor, most: float) -> bool:
    if not a.numel():
        return True
    if not (a.is_floating_point() or a.is_complex()):
        return bool((a != b).to(torch.float32).mean() <= FLIPPED)
    finite = a.isfinite()
    if not bool((finite == b.isfinite()).all()):
        return False
    a, b = a[finite].to(torch.complex128), b[finite].to(torch.complex128)
    return bool((a - b).norm() <= most * a.norm() + TINY)


def _chance(model: nn.Module, example: Sequence[Tensor]) -> str | None:
    """The operator that draws random numbers and the line that calls it; None if none does."""
    drawn = _Drawing()
    with torch.random.fork_rng(devices=[]), drawn:
        model(*[x.clone() for x in example])
    return drawn.first


class _Drawing(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch leaves it unannotated
    """Notes the first operator that draws random numbers."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch leaves it unannotated
        self.first: str | None = None

    def __torch_dispatch__(
        self,
        func: Any,  # torch calls it with an OpOverload
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """The operator's result."""
        before = torch.get_rng_state()
        result = func(*args, **(kwargs or {}))
        if self.first is None and not torch.equal(before, torch.get_rng_state()):
            self.first = f"{func.overloadpacket.__name__.rstrip('_')} at {running_line()}"
        return result
