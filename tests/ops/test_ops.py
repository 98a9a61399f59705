"""The list of operators."""

from dataclasses import is_dataclass

import torch

from zeropoint.graph.op import Op
from zeropoint.ops import CAPTURES, FAMILIES, OPS
from zeropoint.ops.opaque import operator_of


def test_every_operator_has_one_name() -> None:
    listed = [op for family in FAMILIES for op in family.OPS]
    assert len(OPS) == len(listed)
    assert all(OPS[op.name] is op for op in listed)


def test_operators_are_final_and_frozen() -> None:
    for op in OPS.values():
        assert issubclass(op, Op)
        assert not op.__subclasses__()
        assert is_dataclass(op)
        assert op.__dataclass_params__.frozen


def test_no_two_families_capture_the_same_operator() -> None:
    assert len(CAPTURES) == sum(len(family.CAPTURES) for family in FAMILIES)


def test_captured_operators_exist_in_this_torch() -> None:
    # Sizes are read by an operator that takes a tensor and gives a number.
    for target in CAPTURES.keys() - {"aten.sym_size.int"}:
        assert isinstance(operator_of(target), torch._ops.OpOverload)
