"""The sizes that images will probably have: kernels lay their weights out for them."""

from collections.abc import Mapping

from torch import Tensor

from zeropoint.errors import ProgramError
from zeropoint.program.program import Program
from zeropoint.program.shapes import infer


def probable_shapes(program: Program) -> Mapping[str, tuple[int, ...]]:
    """The shape of each value for one calibration sample, found without computing anything.

    Empty for a program that does not know its sample, or cannot take it. That costs speed only.
    """
    inputs = program.provenance.input_shapes
    try:
        values = infer(program.graph, inputs) if inputs else {}
    except ProgramError:
        return {}
    return {name: tuple(x.shape) for name, x in values.items() if isinstance(x, Tensor)}
