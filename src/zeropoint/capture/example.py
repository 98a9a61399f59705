"""The loader's first batch, in the form that the model is captured with."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from zeropoint.capture.evaluating import unchanged
from zeropoint.capture.origin import first_line, users_line
from zeropoint.errors import CaptureError
from zeropoint.graph.structure import leaves_of


def runnable(model: nn.Module, example: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """The example with two samples at least, if the model runs on two; else as it is.

    torch.export takes 1 for a constant of the model.
    """
    given = tuple(example)
    one = tuple(x[:1] if x.ndim else x for x in given)
    for attempt in (tuple(_at_least_two(x) for x in given), given):
        if _failure(model, attempt) is None:
            return attempt
    if _failure(model, one) is None:
        raise CaptureError(
            f"{type(model).__name__} takes one sample at a time, and the loader yields "
            f"{len(given[0])}: yield batches of one"
        )
    error = _failure(model, given)
    assert error is not None
    raise CaptureError(_own_failure(model, given, error)) from error


def few(model: nn.Module, example: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Two samples of the example, if the model runs on two."""
    two = tuple(x[:2] if x.ndim else x for x in example)
    return two if _failure(model, two) is None else example


def check_batched(model: nn.Module, example: tuple[Tensor, ...]) -> None:
    """CaptureError if the example is one sample that no loader has put into a batch."""
    try:
        alone, batched = (
            leaves_of(model(*xs)) for xs in (example, [x.unsqueeze(0) for x in example])
        )
        is_sample = all(torch.allclose(y[None], ys) for y, ys in zip(alone, batched, strict=True))
    except Exception:  # whatever the user's code raises: the model takes no further dimension
        return
    if is_sample:
        shapes = " and ".join(str(tuple(x.shape)) for x in example)
        raise CaptureError(
            f"the loader yields single samples, of shape {shapes}; yield batches, as "
            "torch.utils.data.DataLoader(dataset, batch_size=32) does"
        )


def _failure(model: nn.Module, example: Sequence[Tensor]) -> Exception | None:
    """What the model itself raises on the example; None if it runs. The model stays as it is."""
    with unchanged(model):
        try:
            model(*[x.clone() for x in example])
        except Exception as error:  # whatever the user's code raises
            return error
    return None


def _at_least_two(x: Tensor) -> Tensor:
    return torch.cat([x, x]) if x.ndim and x.shape[0] == 1 else x


def _own_failure(model: nn.Module, example: Sequence[Tensor], error: Exception) -> str:
    """Why the model itself cannot run the example."""
    where = users_line(error)
    shapes = " and ".join(", ".join(["(N", *map(str, x.shape[1:])]) + ")" for x in example)
    return (
        f"{type(model).__name__} itself fails on inputs of shape {shapes}, which the loader "
        f"yields first{f', at {where}' if where else ''}: {first_line(error)}; yield batches "
        "as for training"
    )
