"""What only moves elements: the integers move, their grid stays.

An operator of this kind may leave elements out, repeat them and put them in another order; it
computes nothing, so its integer form is its float form, on the grid of x. Sizes that only the run
knows come as operands after x; among an operator's numbers None stands in their place.
"""

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import ClassVar

from torch import Tensor

from zeropoint.arithmetic.requantize import Arithmetic
from zeropoint.graph.op import Grid, IntegerOp, Role, Signature
from zeropoint.graph.value import Value

Numbers = tuple[int | None, ...]
"""Numbers, and None for each that comes as an operand."""


class Movement(IntegerOp):
    """x, then a size for each None among the numbers of the operator."""

    grid: ClassVar[Grid] = Grid.SHARED

    def roles(self, count: int) -> tuple[Role, ...]:
        """An activation, then sizes."""
        return (Role.ACTIVATION, *[Role.SIZE] * (count - 1))

    @abstractmethod
    def run(self, x: Tensor, *sizes: int) -> Tensor:
        """The float form."""

    def run_integer(
        self, inputs: Sequence[Tensor], signature: Signature, arithmetic: Arithmetic
    ) -> Tensor:
        """The integer form is the float form."""
        x, *sizes = inputs
        return self.run(x, *map(int, sizes))


def taken_out(items: Iterable[int | Value]) -> tuple[Numbers, list[Value]]:
    """The numbers of a call of torch's, and those that only the run knows."""
    listed = list(items)
    numbers = tuple(None if isinstance(item, Value) else item for item in listed)
    return numbers, [item for item in listed if isinstance(item, Value)]


def put_in(numbers: Numbers, sizes: Iterable[int]) -> list[int]:
    """The inverse of `taken_out`, with the sizes of a run."""
    computed = iter(sizes)
    return [next(computed) if number is None else number for number in numbers]
