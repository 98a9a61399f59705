"""Any function of any type of operands: the graph gives what torch gives, type and all."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from tests.nets import run
from zeropoint.capture import capture

TYPES = (torch.float32, torch.bool, torch.int64, torch.uint8, torch.float64)

FUNCTIONS: dict[str, Callable[[Tensor, Tensor], Any]] = {
    "add": lambda a, b: a + b,
    "add alpha": lambda a, b: torch.add(a, b, alpha=2),
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / 3,
    "div floor": lambda a, b: torch.div(a, 3, rounding_mode="floor"),
    "div trunc": lambda a, b: torch.div(a, 3, rounding_mode="trunc"),
    "sum": lambda a, b: a.sum(1),
    "sum of all dims but the first, kept": lambda a, b: a.sum((-1, 2, 1), keepdim=True),
    "sum in float64": lambda a, b: a.sum(1, dtype=torch.float64),
    "mean in float64": lambda a, b: a.mean((2, 3), dtype=torch.float64),
    "amax": lambda a, b: a.amax((-1, -2), keepdim=True),
    "max": lambda a, b: a.max(1).values,
    "maximum": lambda a, b: torch.maximum(a, b),
    "cat": lambda a, b: torch.cat([a, b], -3),
    "stack": lambda a, b: torch.stack([a, b], -1),
    "view": lambda a, b: a.view(a.shape[0], -1),
    "flip": lambda a, b: a.flip(-1),
    "roll": lambda a, b: a.roll(1, 2),
    "slice": lambda a, b: a[:, -2:, ::2],
    "select": lambda a, b: a[:, -1],
    "split": lambda a, b: torch.split(a, 1, 1)[0],
    "permute": lambda a, b: a.permute(0, -1, 1, 2),
    "repeat": lambda a, b: a.repeat(1, 2, 1, 1),
    "expand": lambda a, b: a[:, :1].expand(-1, 3, -1, -1),
    "clone": lambda a, b: a.clone(memory_format=torch.channels_last),
    "relu": lambda a, b: a.relu(),
    "clamp": lambda a, b: a.clamp(0, 1),
    "float": lambda a, b: a.float(),
    "bool": lambda a, b: a.bool(),
    "long": lambda a, b: a.long(),
    "type_as": lambda a, b: a.type_as(b),
    "to another": lambda a, b: a.to(b),
    "neg": lambda a, b: -a,
    "abs": lambda a, b: a.abs(),
    "square": lambda a, b: a**2,
    "where": lambda a, b: torch.where(a > 0, a, b),
    "sigmoid": lambda a, b: a.sigmoid(),
    "pad": lambda a, b: nn.functional.pad(a, (1, 0, 0, 1)),
    "dropout": lambda a, b: nn.functional.dropout(a, 0.5, training=False),
    "pixel_shuffle": lambda a, b: nn.functional.pixel_shuffle(a[:, :1].repeat(1, 4, 1, 1), 2),
    "max_pool2d": lambda a, b: nn.functional.max_pool2d(a, 2, ceil_mode=True),
    "avg_pool2d": lambda a, b: nn.functional.avg_pool2d(a, 3, 2, 1, True, False),
    "avg_pool2d divided": lambda a, b: nn.functional.avg_pool2d(a, 2, divisor_override=3),
    "matmul": lambda a, b: a @ b.transpose(-1, -2),
}


class Applied(nn.Module):
    """A function of two inputs that are converted first."""

    def __init__(self, function: Any, a: torch.dtype, b: torch.dtype) -> None:
        super().__init__()
        self.function, self.types = function, (a, b)

    def forward(self, a: Tensor, b: Tensor) -> Any:
        first, second = (_as(x, dtype) for x, dtype in zip((a, b), self.types, strict=True))
        return self.function(first, second)


def _as(x: Tensor, dtype: torch.dtype) -> Tensor:
    return x > 0 if dtype == torch.bool else (x * 3).abs().to(dtype)


@pytest.mark.parametrize("name", FUNCTIONS)
@given(a=st.sampled_from(TYPES), b=st.sampled_from(TYPES))
@settings(max_examples=2, deadline=None)
def test_the_graph_gives_what_torch_gives(name: str, a: torch.dtype, b: torch.dtype) -> None:
    torch.manual_seed(0)
    model, inputs = (
        Applied(FUNCTIONS[name], a, b),
        (torch.randn(2, 3, 4, 4), torch.randn(2, 3, 4, 4)),
    )
    try:
        expected = model(*inputs)
    except (RuntimeError, IndexError):  # torch has no such function of these types
        return
    (found,) = run(capture(model, inputs), *inputs)
    torch.testing.assert_close(found, expected)
