"""A model as torch.export sees it, with as many free sizes as the model allows.

all free       batch and image size
batch free     where the sizes of images are numbers in the graph
otherwise      another batch size than the model has met, or the second axis
fixed          with the user's line that fixes the batch
"""

import inspect
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from zeropoint.capture.free_sizes import FreeSizes
from zeropoint.capture.origin import first_line, users_line
from zeropoint.errors import CaptureError
from zeropoint.graph.structure import leaves_of

NAMED_DIMENSIONS = {
    2: {0: "N"},
    3: {0: "N", 2: "L"},
    4: {0: "N", 2: "H", 3: "W"},
    5: {0: "N", 2: "D", 3: "H", 4: "W"},
}
"""What the free dimensions of an input are called, by how many it has: (N, C, H, W) has four."""

Axes = dict[int, Any]  # torch's Dim.AUTO


def exported(model: nn.Module, example: tuple[Tensor, ...]) -> tuple[ExportedProgram, str]:
    """The exported model, with as many free dimensions as the model allows.

    With it comes the user's line that fixes the batch; "" if it is free.
    """
    free: list[Axes] = [
        dict.fromkeys(NAMED_DIMENSIONS.get(x.ndim, {0: "N"}), Dim.AUTO) for x in example
    ]
    batch: list[Axes] = [{0: Dim.AUTO} if x.ndim else {} for x in example]
    first = None
    with suppress(Exception):  # torch.export raises dozens of kinds; the second try reports
        program, line = _exported(model, example, free)
        if not _fixes_sizes(program) and not _fixes_batch(program):
            return program, ""
        first = None if _fixes_sizes(program) else (program, line)
    try:
        program, line = _exported(model, example, batch)
    except Exception as error:
        raise CaptureError(_explain(model, error)) from error
    if not _fixes_batch(program):
        return program, ""
    for inputs, axes in _otherwise(model, example, [free, batch]):
        with suppress(Exception):  # then it stays as it is
            other, _ = _exported(model, inputs, axes)
            if not _fixes_batch(other) or _frees(other, 1):
                return other, line
    return first or (program, line)


def _exported(
    model: nn.Module, example: tuple[Tensor, ...], axes: Sequence[Axes]
) -> tuple[ExportedProgram, str]:
    with FreeSizes() as calls:
        shapes = _by_parameter(model, tuple(axes))
        program = torch.export.export(model, example, dynamic_shapes=shapes)
    return program, calls.batch_line()


def _otherwise(
    model: nn.Module, example: tuple[Tensor, ...], free: Sequence[list[Axes]]
) -> Iterator[tuple[tuple[Tensor, ...], list[Axes]]]:
    """What else may leave a batch free: another size than the model has met, the second axis."""
    more = tuple(torch.cat([x, x[:1]]) if x.ndim else x for x in example)
    with suppress(Exception):  # whatever the user's code raises: it takes no other size
        if _follow(model, example, more):
            yield from ((more, axes) for axes in free)
    if any(x.ndim == 3 and x.shape[1] > 1 for x in example):
        yield example, [{1: Dim.AUTO} if x.ndim == 3 else {} for x in example]


def _follow(model: nn.Module, few: Sequence[Tensor], more: Sequence[Tensor]) -> bool:
    """True if each output is of as many samples as the inputs, of both."""
    for inputs in (few, more):
        counts = {len(x) for x in inputs if x.ndim}
        outputs = [y for y in leaves_of(model(*inputs)) if isinstance(y, Tensor) and y.ndim]
        if not all(len(y) in counts for y in outputs):
            return False
    return True


def _fixes_batch(program: ExportedProgram) -> bool:
    """True if no input's first dimension is free."""
    return not _frees(program, 0)


def _frees(program: ExportedProgram, axis: int) -> bool:
    """True if that dimension of some input is free."""
    names = {*program.graph_signature.user_inputs}
    fakes = [n.meta.get("val") for n in program.graph.nodes if n.name in names]
    sizes: list[Any] = [x.shape[axis] for x in fakes if isinstance(x, Tensor) and x.ndim > axis]
    return any(isinstance(n, torch.SymInt) and n.node.maybe_as_int() is None for n in sizes)


def _by_parameter(model: nn.Module, shapes: tuple[Any, ...]) -> tuple[Any, ...]:
    """One entry for each parameter of forward(); those of *inputs are an entry together."""
    kinds = [parameter.kind for parameter in inspect.signature(model.forward).parameters.values()]
    if inspect.Parameter.VAR_POSITIONAL not in kinds:
        return shapes
    before = kinds.index(inspect.Parameter.VAR_POSITIONAL)
    together = shapes[before:]
    return (*shapes[:before], together) if together else shapes


def _fixes_sizes(program: ExportedProgram) -> bool:
    """True if the graph holds for some heights and widths only, though none of them is a number.

    A linear layer after a flatten fixes height x width; `int(0.75 * height)` is a number in the
    graph. Then the example's height and width are taken for fixed, each of them: engines lay
    weights out for sizes that they know.
    """
    fakes = [node.meta.get("val") for node in program.graph.find_nodes(op="placeholder")]
    sizes: list[Any] = [size for fake in fakes if isinstance(fake, Tensor) for size in fake.shape]
    free = [size.node for size in sizes if isinstance(size, torch.SymInt)]
    if not free:
        return False
    twice = {node.expr: 2 * node.hint for node in free if node.expr.is_Symbol}
    guards = [guard.expr for guard in free[0].shape_env.guards]
    return any(
        str(guard).startswith("Eq(")
        and guard.rhs.is_number
        and set() < guard.free_symbols <= twice.keys()
        and not guard.xreplace(twice)  # else it is about what divides them
        for guard in guards
    )


def _explain(model: nn.Module, error: Exception) -> str:
    where = users_line(error)
    name = type(model).__name__
    if not where:
        return f"{name} cannot be captured: {first_line(error)}"
    return (
        f"{name} cannot be captured at {where}: {first_line(error)} "
        "Change that line so that it does not depend on the values in a tensor (torch.where "
        "instead of if, a tensor operator instead of .item() or numpy)."
    )
