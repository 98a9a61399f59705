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
from torch.utils.data import Dataset

from zeropoint.errors import CalibrationError
from zeropoint.graph.graph import Graph
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
    iterator = iter(_checked(loader))
    try:
        first = next(iterator)
    except StopIteration:
        raise CalibrationError(
            "the loader yields no batch; calibration needs some real images (512 are plenty)"
        ) from None
    return first, chain([first], iterator)


def _checked(loader: object) -> Iterable[object]:
    """The loader; CalibrationError if it is something else."""
    if isinstance(loader, Tensor):
        raise CalibrationError(
            f"the loader is one tensor, of shape {tuple(loader.shape)}; pass a list of batches: "
            "[x] for one batch, x.split(32) for several"
        )
    if isinstance(loader, Mapping):
        raise CalibrationError(
            f"the loader is {_describe(loader)}; pass a list of batches: [batch] for one batch"
        )
    if isinstance(loader, str) or not isinstance(loader, Iterable | Dataset):
        raise CalibrationError(
            f"the loader is {_describe(loader)}; pass an iterable of batches, as "
            "torch.utils.data.DataLoader(dataset, batch_size=32) is"
        )
    return loader  # type: ignore[return-value]  # iter() takes whatever has __getitem__


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

    `expected` has the shape of each input by its name. Where the model fixes its batch, no batch is
    cut, and a last one that is too short is left out.
    """
    done = 0
    shapes = list(expected.values())
    is_free = any(isinstance(shape[0], str) for shape in shapes if shape)
    types: list[torch.dtype] = []
    for index, batch in enumerate(batches):
        inputs = inputs_of(batch, tuple(expected))
        check_inputs(inputs, f"batch {index} of the loader")
        types = types or [x.dtype for x in inputs]
        _check_types(inputs, types, f"batch {index} of the loader")
        if not is_free and done and _is_short(inputs, shapes):
            continue
        wrong = misfit([x.shape for x in inputs], shapes)
        if wrong is not None:
            raise CalibrationError(
                f"batch {index} of the loader has shape {tuple(inputs[wrong].shape)}; as far as "
                f"batch 0 tells, the model takes ({', '.join(map(str, shapes[wrong]))}) for "
                f"{tuple(expected)[wrong]!r}"
            )
        size = count_of(inputs)
        if is_free:
            size = min(size, samples - done)
            inputs = cut(inputs, shapes, size)
        yield inputs
        done += size
        progress(done)
        if done >= samples:
            return


def count_of(inputs: Inputs) -> int:
    """How many samples a batch holds."""
    return len(inputs[0]) if inputs[0].ndim else 1


def cut(inputs: Inputs, shapes: Sequence[Shape], size: int) -> Inputs:
    """The first samples of each input whose first dimension is free.

    Inputs of different free numbers, such as indices and offsets, stay as they are.
    """
    counts = {shape[0] for shape in shapes if shape and isinstance(shape[0], str)}
    if len(counts) != 1:
        return inputs
    return tuple(
        x[:size] if shape and shape[0] in counts else x
        for x, shape in zip(inputs, shapes, strict=True)
    )


def first_sample(graph: Graph, inputs: Sequence[Tensor]) -> Inputs:
    """The first sample of a batch; all of it where the graph's batch is fixed."""
    return cut(tuple(inputs), [graph.values[name].shape for name in graph.inputs], 1)


def _check_types(inputs: Inputs, expected: Sequence[torch.dtype], where: str) -> None:
    for x, dtype in zip(inputs, expected, strict=True):
        if x.dtype != dtype and dtype == torch.float32:
            raise CalibrationError(_about_integers(x.dtype, where))
        if x.dtype != dtype:
            raise CalibrationError(
                f"{where} is {_title(x.dtype)}, and batch 0 is {_title(dtype)}; yield batches alike"
            )


def _is_short(inputs: Inputs, shapes: Sequence[Shape]) -> bool:
    """True for a batch of fewer samples than the model fixes."""
    pairs = [(x, shape) for x, shape in zip(inputs, shapes, strict=True) if x.ndim and shape]
    return any(isinstance(shape[0], int) and len(x) < shape[0] for x, shape in pairs)


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
    """CalibrationError unless every input has a sample in it, and is finite float32 or integers."""
    for x in inputs:
        if (x.is_floating_point() or x.is_complex()) and x.dtype != torch.float32:
            raise CalibrationError(f"{where} is {_title(x.dtype)}; expected float32: use x.float()")
        if x.numel() == 0:
            raise CalibrationError(f"{where} is empty: its shape is {tuple(x.shape)}")
        if x.device.type == "meta" or x.is_sparse:
            raise CalibrationError(f"{where} is a {x.device.type} tensor that holds no numbers")
        if not torch.isfinite(x).all():
            raise CalibrationError(f"{where} holds NaN or infinity; look at the data in it")


def check_integers(model: nn.Module, inputs: Inputs, where: str) -> None:
    """CalibrationError if integers are given that the model does not run on."""
    types = [x.dtype for x in inputs if not x.is_floating_point()]
    if not types or _runs(model, inputs):
        return
    raise CalibrationError(_about_integers(types[0], where))


def _about_integers(dtype: torch.dtype, where: str) -> str:
    return (
        f"{where} is {_title(dtype)}; the model takes float32: convert the images as for training "
        "(x.float() / 255, normalized), and yield them first, then labels"
    )


def _runs(model: nn.Module, inputs: Inputs) -> bool:
    flags = [(module, module.training) for module in model.modules()]
    try:
        with torch.no_grad():
            model.eval()(*[x.clone() for x in inputs])
    except Exception:  # whatever the user's code raises
        return False
    finally:
        for module, training in flags:
            module.training = training
    return True


def _title(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _describe(batch: object) -> str:
    if isinstance(batch, Mapping):
        return f"a dict with the keys {', '.join(map(repr, batch))}"
    if isinstance(batch, Sequence) and not isinstance(batch, str):
        kinds = ", ".join(type(item).__name__ for item in batch)
        return f"a {type(batch).__name__} of {kinds}"
    return f"a {type(batch).__name__}"
