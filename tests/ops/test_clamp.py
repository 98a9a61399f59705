import pytest
import torch

from zeropoint.arithmetic.integer import UINT8, IntegerType
from zeropoint.arithmetic.qparams import QParams, per_tensor
from zeropoint.arithmetic.requantize import Float32
from zeropoint.graph.build import Builder, float_graph
from zeropoint.graph.op import Grid, Role, Signature
from zeropoint.graph.value import Value
from zeropoint.ops.clamp import Clamp, clamp, clamp_max, hardtanh, relu, relu6

INF = float("inf")
GRID = per_tensor(0.5, 10, UINT8)


def clamped(op: Clamp, params: QParams = GRID) -> list[int]:
    q = torch.tensor([0, 8, 10, 12, 22, 255], dtype=torch.uint8)
    y = op.run_integer([q], Signature((params,), params), Float32())
    assert y.dtype == torch.uint8
    return [int(code) for code in y]


@pytest.mark.parametrize(
    ("op", "expected"),
    [
        (Clamp(0.0), [10, 10, 10, 12, 22, 255]),
        (Clamp(0.0, 6.0), [10, 10, 10, 12, 22, 22]),
        (Clamp(-1.0, 1.0), [8, 8, 10, 12, 12, 12]),
        (Clamp(None, 1.0), [0, 8, 10, 12, 12, 12]),
        (Clamp(0.0, INF), [10, 10, 10, 12, 22, 255]),
        (Clamp(-1e30, 1e30), [0, 8, 10, 12, 22, 255]),
        (Clamp(3.0, 1.0), [12, 12, 12, 12, 12, 12]),  # as torch.clamp: the upper bound wins
    ],
)
def test_bounds_are_codes(op: Clamp, expected: list[int]) -> None:
    assert clamped(op) == expected


def test_a_narrow_grid_bounds_as_well() -> None:
    narrow = per_tensor(0.5, 10, IntegerType(4, signed=False))
    assert clamped(Clamp(0.0), narrow)[:4] == [10, 10, 10, 12]
    assert max(clamped(Clamp(0.0), narrow)) == 15


def test_the_operand_is_not_changed() -> None:
    q = torch.tensor([0, 255], dtype=torch.uint8)
    Clamp(0.0, 6.0).run_integer([q], Signature((GRID,), GRID), Float32())
    assert q.tolist() == [0, 255]


def test_the_float_form_is_torch_s_clamp() -> None:
    x = torch.tensor([-2.0, 0.5, 9.0])
    assert Clamp(0.0).run(x).tolist() == [0.0, 0.5, 9.0]
    assert Clamp(0.0, 6.0).run(x).tolist() == [0.0, 0.5, 6.0]
    assert Clamp(None, 0.0).run(x).tolist() == [-2.0, 0.0, 0.0]
    assert x.tolist() == [-2.0, 0.5, 9.0]


def test_it_stays_on_the_grid_of_its_operand() -> None:
    assert Clamp(0.0).roles(1) == (Role.ACTIVATION,)
    assert Clamp.grid is Grid.SHARED


def test_all_kinds_of_bounds_are_one_operator() -> None:
    to, x = float_graph(("N", 3))
    relu(to, x.shape, x)
    relu6(to, x.shape, x)
    hardtanh(to, x.shape, x)
    hardtanh(to, x.shape, x, 0, 6)
    clamp(to, x.shape, x, -1)
    clamp(to, x.shape, x, high=2)
    clamp_max(to, x.shape, x, 2)
    assert [node.op for node in to.nodes] == [
        Clamp(0.0),
        Clamp(0.0, 6.0),
        Clamp(-1.0, 1.0),
        Clamp(0.0, 6.0),
        Clamp(-1.0),
        Clamp(None, 2.0),
        Clamp(None, 2.0),
    ]


def test_bounds_that_are_tensors_make_an_island() -> None:
    def bounds(to: Builder, x: Value) -> list[Value | str]:
        untyped: object = x  # torch.export hands whatever the call had
        return [clamp(to, x.shape, x, untyped), clamp(to, x.shape, x, None, untyped)]  # type: ignore[arg-type]  # on purpose

    assert bounds(*float_graph(("N", 3))) == ["its bounds are tensors"] * 2
