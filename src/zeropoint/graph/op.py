"""What an operator is: a name, fields that configure it, and what it computes.

A class is abstract here and final in `ops/`. A float graph and an integer program are made of the
same operators: the types of a node's values say which of the two forms runs.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar

from torch import Tensor

from zeropoint.arithmetic.qparams import QParams
from zeropoint.arithmetic.requantize import Arithmetic

Argument = Any  # a Tensor, or the int of a Size value: operators of islands take both


class Op(ABC):
    """An operator with a float form. Subclasses are frozen dataclasses: fields are options."""

    name: ClassVar[str]

    @abstractmethod
    def run(self, *inputs: Argument) -> Any:  # a Tensor, an int, or a tuple of Tensors
        """The float form: inputs in the node's order to the output, or a tuple of outputs."""


class Role(Enum):
    """How lowering treats an operand of an integer operator."""

    ACTIVATION = "activation"  # quantized at run time, on the grid of the plan
    WEIGHT = "weight"  # a constant, quantized when the program is made
    BIAS = "bias"  # a constant, int32 at the scale of the accumulator (equation (2))
    SIZE = "size"  # a Python int


class Grid(Enum):
    """Where the grid of an integer operator's output comes from."""

    OWN = "own"  # calibrated
    SHARED = "shared"  # the grid of operand 0: the operator only moves or compares integers


@dataclass(frozen=True)
class Signature:
    """The grids of a node in an integer program: one for each operand, and one for the output."""

    inputs: tuple[QParams, ...]
    output: QParams


class IntegerOp(Op):
    """An operator with an integer form as well."""

    grid: ClassVar[Grid]

    @abstractmethod
    def roles(self, count: int) -> tuple[Role, ...]:
        """The role of each of `count` operands."""

    @abstractmethod
    def run_integer(
        self, inputs: Sequence[Tensor], signature: Signature, arithmetic: Arithmetic
    ) -> Tensor:
        """The integer form: the specification that every engine is checked against."""
