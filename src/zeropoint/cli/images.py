"""How images are read: seven options of every command that has `--data`, and what they open.

    @with_image_options
    def evaluate(file: FileArgument, data: DataOption, *, images: ImageOptions) -> None:
        loader = images.open(data)

Typer takes the options of a command from its signature and knows no groups. So the decorator shows
it a signature in which `size`, `mean` and so on stand where `images` stood.
"""

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from torch import Tensor

from zeropoint.data import Columns, ImageBatches, Preparation, open_data


@dataclass(frozen=True, kw_only=True)
class ImageOptions:
    """The options as they were typed."""

    size: Annotated[
        str | None, typer.Option(metavar="HxW", help="Scale to cover, cut out the centre")
    ] = None
    mean: Annotated[str, typer.Option(metavar="M[,M,M]", help="Subtracted from pixel / 255")] = "0"
    std: Annotated[
        str, typer.Option(metavar="S[,S,S]", help="What the difference is divided by")
    ] = "1"
    channels: Annotated[int | None, typer.Option(help="1 or 3; default: as the images are")] = None
    batch_size: Annotated[int, typer.Option(help="Images in a batch")] = 32
    image_column: Annotated[
        str | None, typer.Option(help="Where a table does not tell by itself")
    ] = None
    label_column: Annotated[
        str | None, typer.Option(help="Where a table does not tell by itself")
    ] = None

    def open(
        self, data: str, *, samples: int | None = None, shuffle_seed: int | None = None
    ) -> ImageBatches:
        """The images that DATA names, as `open_data` gives them."""
        return open_data(
            data,
            preparation=Preparation(
                size=None if self.size is None else height_and_width(self.size),
                mean=numbers(self.mean),
                std=numbers(self.std),
                channels=self.channels,
            ),
            columns=Columns(self.image_column, self.label_column),
            batch_size=self.batch_size,
            samples=samples,
            shuffle_seed=shuffle_seed,
        )


def with_image_options(command: Callable[..., None]) -> Callable[..., None]:
    """The command with the fields of ImageOptions in the place of its parameter `images`."""
    signature = inspect.signature(command)
    fields = inspect.signature(ImageOptions).parameters
    parameters: list[inspect.Parameter] = []
    for name, parameter in signature.parameters.items():
        parameters += fields.values() if name == "images" else [parameter]

    @functools.wraps(command)
    def with_fields(**given: Any) -> None:  # whatever typer has made of the command line
        images = ImageOptions(**{name: given.pop(name) for name in fields})
        command(**given, images=images)

    vars(with_fields)["__signature__"] = signature.replace(parameters=parameters)
    return with_fields


def first_image(loader: ImageBatches) -> Tensor:
    """A batch of one."""
    return next(iter(loader))[0][:1]  # (1, C, H, W)


def height_and_width(text: str) -> tuple[int, int]:
    """`224` or `224x320`, height first."""
    height, _, width = text.partition("x")
    if not height.isdigit() or not (width or height).isdigit():
        raise typer.BadParameter(f"{text} is no size; expected 224 or 224x320, height first")
    return int(height), int(width or height)


def numbers(text: str) -> tuple[float, ...]:
    """`0.5` or `0.485,0.456,0.406`."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise typer.BadParameter(f"{text} is no list of numbers like 0.485,0.456,0.406") from None
