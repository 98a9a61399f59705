"""SOURCE and FILE as networks that take the images: a shape that fits neither ends the command."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

import zeropoint as zp
from zeropoint.cli.images import first_image
from zeropoint.data import ImageBatches
from zeropoint.errors import DataError, ZeropointError
from zeropoint.source import first_line, load_model


def load_both(
    source: str, file: Path, loader: ImageBatches, *, weights: Path | None, engine: str
) -> tuple[nn.Module, zp.QuantizedModel]:
    """SOURCE and FILE, which have both taken the loader's first image."""
    quantized = zp.load(file, engine=engine)
    model = load_model(source, weights=weights)
    image = first_image(loader)
    require_runs(source, model, image)
    require_runs(str(file), quantized, image)
    return model, quantized


def require_runs(name: str, network: Callable[..., object], *inputs: Tensor) -> object:
    """What the network makes of the inputs; DataError if it does not take their shapes."""
    try:
        with torch.no_grad():
            return network(*inputs)
    except ZeropointError:
        raise
    except Exception as error:  # a shape that does not fit fails in whatever layer meets it first
        shapes = " and ".join(str(tuple(x.shape)) for x in inputs)
        raise DataError(
            f"{name} does not take an input of the shape {shapes}: {first_line(error)}"
        ) from error
