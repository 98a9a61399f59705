"""Functions of codes in sizes that only the run knows, as programs."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from tests.nets import images, lowered, seeded
from zeropoint.capture import capture
from zeropoint.passes import simplify
from zeropoint.program.program import Program


class Behind(nn.Module):
    """A layer, a pool of one pixel that makes codes of its accumulators, and `function`."""

    def __init__(self, function: Callable[[Any], Tensor]) -> None:
        super().__init__()
        self.conv, self.pool, self.function = nn.Conv2d(3, 4, 1), nn.MaxPool2d(1), function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self.pool(self.conv(x)))


def program_of(function: Callable[[Any], Tensor]) -> Program:
    return lowered(simplify(capture(seeded(Behind(function)), (images(),))), images())
