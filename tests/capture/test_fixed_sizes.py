import warnings
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from tests.nets import images
from zeropoint.capture import capture
from zeropoint.graph.graph import Graph


class Crop(nn.Module):
    """A convolution, and whatever `function` does with its result."""

    def __init__(self, function: Callable[[Tensor], Tensor], rank: int = 4) -> None:
        super().__init__()
        self.conv = {3: nn.Conv1d, 4: nn.Conv2d, 5: nn.Conv3d}[rank](3, 4, 1)
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self.conv(x))


def captured(model: nn.Module, x: Tensor) -> tuple[Graph, list[str]]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        graph = capture(model.eval(), (x,))
    return graph, [str(warning.message) for warning in caught]


def test_a_size_that_the_model_turns_into_a_number_is_named_once() -> None:
    graph, messages = captured(Crop(lambda y: y * int(y.shape[2])), images(2, size=8))
    assert graph.values["x"].shape == ("N", 3, 8, "W")
    assert messages == [
        "the model fixes the height of its input 'x' to 8: the quantized network takes no other, "
        "though the model does; its forward() turns a size into a number or compares it, as "
        "int(x.shape[2]) does, or a pool leaves one pixel of this input"
    ]


def test_two_sizes_are_one_warning() -> None:
    _, (message,) = captured(
        Crop(lambda y: y * int(y.shape[2]) * int(y.shape[3])), images(2, size=8)
    )
    assert "fixes the height and the width of its input 'x' to 8 x 8" in message


@pytest.mark.parametrize(
    ("sizes", "names"),
    [((9,), "the length of its input 'x' to 9"), ((4, 5, 6), "the depth of its input 'x' to 4")],
)
def test_lines_and_volumes_have_names_too(sizes: tuple[int, ...], names: str) -> None:
    model = Crop(lambda y: y * int(y.shape[2]), len(sizes) + 2)
    _, (message,) = captured(model, torch.randn(2, 3, *sizes))
    assert f"the model fixes {names}" in message


def test_a_model_whose_sizes_must_change_together_is_asked_for_that() -> None:
    def square(y: Tensor) -> Tensor:
        return (y @ y) * int(y.shape[2])

    _, (message,) = captured(Crop(square), images(2, size=8))
    assert "the height and the width of its input 'x' to 8 x 8" in message


@pytest.mark.parametrize(
    "model",
    [
        Crop(lambda y: y[:, :, : y.shape[2] // 2]),
        nn.Sequential(nn.Conv2d(3, 4, 1), nn.Flatten(), nn.Linear(256, 5)),
        Crop(lambda y: y.reshape(-1, 256)),
    ],
    ids=["free", "the model takes no other", "the rest is taken for samples"],
)
def test_a_size_that_the_model_itself_fixes_or_leaves_free_is_no_news(model: nn.Module) -> None:
    _, messages = captured(model, images(2, size=8))
    assert messages == []
