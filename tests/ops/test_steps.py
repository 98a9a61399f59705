import pytest
import torch

from zeropoint.arithmetic.integer import INT32, UINT8
from zeropoint.arithmetic.qparams import QParams
from zeropoint.graph.op import IntegerOp
from zeropoint.ops.add import Add
from zeropoint.ops.conv import Conv2d
from zeropoint.ops.mul import Mul
from zeropoint.ops.steps import farthest, largest_operand
from zeropoint.ops.table import Table


def grid(scale: float, zero_point: int) -> QParams:
    return QParams(torch.tensor(scale), torch.tensor(zero_point, dtype=torch.int32), UINT8)


def test_the_farthest_code_is_at_either_end() -> None:
    assert (farthest(grid(1.0, 0)), farthest(grid(1.0, 200))) == (255, 200)


@pytest.mark.parametrize(
    ("op", "addends", "largest"),
    [(Add(), 0, 510.0), (Mul(), 0, 255.0 * 510.0), (Conv2d(), 0, 130050.0), (Conv2d(), 1, 1e6)],
)
def test_a_product_is_scaled_as_one_and_each_term_by_itself(
    op: IntegerOp, addends: int, largest: float
) -> None:
    bias = QParams(torch.tensor(2.0), torch.tensor(0, dtype=torch.int32), INT32)
    grids = [grid(1.0, 0), grid(2.0, 0), *([bias] if isinstance(op, Conv2d) else [])]
    grids += [grid(1e6 / 255, 0)] * addends
    found = largest_operand(op, op.roles(len(grids)), grids)
    assert found == pytest.approx(largest)


def test_a_table_is_looked_up_however_far_its_argument_is() -> None:
    op = Table((("exp", "x"),))
    assert largest_operand(op, op.roles(1), [grid(1.0, 0)]) == 0.0
