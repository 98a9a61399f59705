"""What a loader yields, as inputs of the model.

    x                    the first input
    (x, y), [x, y]       as many inputs as forward() requires, the rest are labels
    {"image": x, ...}    by the names of forward()'s parameters, or else the first tensors there,
                         real numbers before integers

Labels are the next item after the inputs, if there is one.
"""

import inspect
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from zeropoint.errors import CalibrationError
from zeropoint.graph.value import Shape

Inputs = tuple[Tensor, ...]


def input_names(model: nn.Module) -> tuple[str, ...]:
    """The parameters that the model's forward() requires, by name."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    try:
        parameters = inspect.signature(model.forward).parameters.values()
    except ValueError:  # a traced model has none
        return ("x",)
    required = [p.name for p in parameters if p.kind in kinds and p.default is p.empty]
    return tuple(required) or ("x",)


def inputs_of(batch: object, names: Sequence[str]) -> Inputs:
    """The model's inputs in one item of a loader; CalibrationError if there are none in it."""
    if isinstance(batch, Tensor):
        found: list[Any] = [batch]
    elif isinstance(batch, Mapping):
        by_name = [batch[name] for name in names if name in batch]
        tensors = [item for item in batch.values() if isinstance(item, Tensor)]
        tensors.sort(key=lambda item: not item.is_floating_point())
        found = by_name if len(by_name) == len(names) else tensors
    elif isinstance(batch, Sequence):
        found = list(batch)
    else:
        found = []
    inputs = tuple(found[: len(names)])
    if len(inputs) < len(names) or not all(isinstance(item, Tensor) for item in inputs):
        raise CalibrationError(
            f"the loader yields {_describe(batch)}; the model takes {len(names)} tensor(s) "
            f"({', '.join(names)}): yield x, (x, y) or a dict"
        )
    return inputs


def labels_of(batch: object, names: Sequence[str]) -> Any:
    """What a batch holds besides the inputs; None if there is nothing."""
    if isinstance(batch, Mapping):
        used = {id(item) for item in inputs_of(batch, names)}
        return next((item for item in batch.values() if id(item) not in used), None)
    if isinstance(batch, Sequence) and len(batch) > len(names):
        return batch[len(names)]
    return None


def first_and_all(loader: Iterable[object]) -> tuple[object, Iterator[object]]:
    """The first batch, and all of them including the first; CalibrationError if there is none."""
    iterator = iter(loader)
    try:
        first = next(iterator)
    except StopIteration:
        raise CalibrationError(
            "the loader yields no batch; calibration needs some real images (512 are plenty)"
        ) from None
    return first, chain([first], iterator)


def length_of(loader: Iterable[object]) -> float:
    """How many batches there are; infinity if the loader does not say."""
    try:
        return len(loader) if isinstance(loader, Sized) else math.inf
    except (TypeError, NotImplementedError):  # a DataLoader whose dataset has no length
        return math.inf


def calibration_batches(
    batches: Iterable[object],
    expected: Mapping[str, Shape],
    samples: int,
    progress: Callable[[int], None],
) -> Iterator[Inputs]:
    """Inputs of at most `samples` samples, checked; the last batch is cut to fit.

    `expected` has the shape of each input by its name.
    """
    done = 0
    for index, batch in enumerate(batches):
        inputs = inputs_of(batch, tuple(expected))
        check_inputs(inputs, f"batch {index} of the loader")
        wrong = misfit([x.shape for x in inputs], list(expected.values()))
        if wrong is not None:
            name, shape = list(expected.items())[wrong]
            raise CalibrationError(
                f"batch {index} of the loader has shape {tuple(inputs[wrong].shape)}; as far as "
                f"batch 0 tells, the model takes ({', '.join(map(str, shape))}) for {name!r}"
            )
        size = min(len(inputs[0]), samples - done) if inputs[0].ndim else 1
        yield tuple(x[:size] if x.ndim else x for x in inputs)
        done += size
        progress(done)
        if done >= samples:
            return


def misfit(found: Sequence[Sequence[int]], expected: Sequence[Shape]) -> int | None:
    """The first of several shapes that is not the expected one; None if all fit.

    A name in an expected shape stands for one number wherever it occurs.

    >>> misfit([(8, 3, 9, 9), (8, 1)], [("N", 3, "H", "W"), ("N", 1)])
    >>> misfit([(8, 3, 9, 9), (7, 1)], [("N", 3, "H", "W"), ("N", 1)])
    1
    """
    known: dict[str, int] = {}
    for index, (shape, wanted) in enumerate(zip(found, expected, strict=True)):
        if len(shape) != len(wanted):
            return index
        for size, want in zip(shape, wanted, strict=True):
            if size != (want if isinstance(want, int) else known.setdefault(want, size)):
                return index
    return None


def check_inputs(inputs: Inputs, where: str) -> None:
    """CalibrationError unless every input is a finite float32 tensor with a sample in it."""
    for x in inputs:
        if not x.is_floating_point():
            raise CalibrationError(
                f"{where} is {str(x.dtype).removeprefix('torch.')}; the model takes float32: "
                "convert the images as for training (x.float() / 255, normalized)"
            )
        if x.dtype != torch.float32:
            raise CalibrationError(
                f"{where} is {str(x.dtype).removeprefix('torch.')}; expected float32: use x.float()"
            )
        if x.numel() == 0:
            raise CalibrationError(f"{where} is empty: its shape is {tuple(x.shape)}")
        if not torch.isfinite(x).all():
            raise CalibrationError(f"{where} holds NaN or infinity; look at the data in it")


def _describe(batch: object) -> str:
    if isinstance(batch, Mapping):
        return f"a dict with the keys {', '.join(map(repr, batch))}"
    if isinstance(batch, Sequence) and not isinstance(batch, str):
        kinds = ", ".join(type(item).__name__ for item in batch)
        return f"a {type(batch).__name__} of {kinds}"
    return f"a {type(batch).__name__}"
