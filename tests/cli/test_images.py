import inspect

import torch

from tests.cli.shell import Shell, assert_mistake
from zeropoint.cli.images import ImageOptions, height_and_width, numbers, with_image_options


def test_the_options_of_images_stand_where_the_parameter_stood() -> None:
    calls: list[tuple[str, ImageOptions, bool]] = []

    @with_image_options
    def command(data: str, *, images: ImageOptions, as_json: bool = False) -> None:
        """Reads images."""
        calls.append((data, images, as_json))

    fields = ["size", "mean", "std", "channels", "batch_size", "image_column", "label_column"]
    parameters = inspect.signature(command).parameters
    assert list(parameters) == ["data", *fields, "as_json"]
    assert (command.__name__, command.__doc__) == ("command", "Reads images.")
    defaults = {name: parameters[name].default for name in fields}
    command(**{**defaults, "size": "8"}, data="a", as_json=True)
    assert calls == [("a", ImageOptions(size="8"), True)]


def test_every_option_of_images_reaches_the_loader(zeropoint: Shell) -> None:
    options = ImageOptions(
        size="4x6", mean="0.5", std="0.25,0.5,1", channels=3, batch_size=2, image_column="image"
    )
    loader = options.open(str(zeropoint.data), samples=5)
    images, labels = next(iter(loader))
    assert (loader.samples, len(loader)) == (5, 3)
    assert (images.shape, labels.shape) == ((2, 3, 4, 6), (2,))
    gray = images * torch.tensor([0.25, 0.5, 1.0]).view(3, 1, 1) + 0.5
    assert torch.equal(gray[:, 0], gray[:, 2])
    assert gray.min() >= 0
    assert gray.max() <= 1


def test_sizes_and_numbers_are_parsed() -> None:
    assert height_and_width("224") == (224, 224)
    assert height_and_width("224x320") == (224, 320)
    assert numbers("0.5") == (0.5,)
    assert numbers("0.485,0.456,0.406") == (0.485, 0.456, 0.406)


def test_missing_data_is_named(zeropoint: Shell) -> None:
    assert_mistake(zeropoint("evaluate", zeropoint.file, "--data", "./nowhere"), "./nowhere")
