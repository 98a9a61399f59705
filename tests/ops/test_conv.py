from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from torch import Tensor

from tests.conformance.cases import CASES, Case, Draft, Fill
from tests.ops import naive
from zeropoint.arithmetic.integer import INT8, INT32, UINT8, IntegerType
from zeropoint.arithmetic.qparams import QParams, per_tensor
from zeropoint.arithmetic.requantize import Float32
from zeropoint.errors import ProgramError
from zeropoint.graph.build import Builder
from zeropoint.graph.graph import Graph
from zeropoint.graph.op import Role, Signature
from zeropoint.graph.value import Shape, Value
from zeropoint.ops.accumulate import real_bounds
from zeropoint.ops.conv import Conv2d, conv2d, convolution
from zeropoint.ops.pad import Pad

X = per_tensor(0.02, 128, UINT8)
W = per_tensor(0.005, 0, INT8)
Y = per_tensor(0.5, 100, UINT8)
B = per_tensor(0.02 * 0.005, 0, INT32)


def codes(shape: tuple[int, ...], params: QParams, seed: int = 0) -> Tensor:
    return Draft(seed).integers(shape, params, Fill.RANDOM)


def integers_of(case: Case) -> tuple[Conv2d, list[Tensor], Signature]:
    """The convolution of a case, its operands and their grids."""
    program = case.program
    node = next(node for node in program.graph.nodes if isinstance(node.op, Conv2d))
    from zeropoint.execute.reference import Reference

    seen: dict[str, Tensor] = {}
    Reference(program).trace(case.inputs, seen.__setitem__)
    operands = [seen.get(name, program.graph.constants.get(name)) for name in node.inputs]
    assert isinstance(node.op, Conv2d)
    return node.op, [q for q in operands if q is not None], program.signature(node)
