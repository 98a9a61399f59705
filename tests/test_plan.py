import torch

from zeropoint.arithmetic.integer import INT8, INT32, UINT8
from zeropoint.arithmetic.qparams import QParams, per_tensor
from zeropoint.plan import Accumulator, Bias, Entry, Own, Plan, Shared

CHANNELS = QParams(torch.tensor([0.5, 0.25]), torch.zeros(2, dtype=torch.int32), INT8, axis=0)
WIDE = QParams(torch.tensor([0.05, 0.025]), torch.zeros(2, dtype=torch.int32), INT32, axis=0)
X = per_tensor(0.1, 3, UINT8)


def plan() -> Plan:
    entries: dict[str, Entry] = {
        "x": Own(X, "MSE(p=2.0)"),
        "conv.weight": Own(CHANNELS, "MinMax()"),
        "conv.bias": Bias(WIDE),
        "pool": Shared(X, "x"),
        "conv": Accumulator(WIDE),
    }
    return Plan(entries, {"silu": "no integer form"})


def test_a_plan_knows_the_grid_of_every_quantized_value() -> None:
    assert plan().params("pool") == X
    assert plan().params("conv.weight") == CHANNELS
    assert plan().params("silu") is None
    assert plan().params("nobody") is None


def test_a_plan_prints_one_row_a_value() -> None:
    lines = [line.replace("┃", "│") for line in str(plan()).splitlines()]
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines if "│" in line]
    assert rows == [
        ["value", "grid", "type", "scale", "zero point", "range"],
        ["x", "MSE(p=2.0)", "u8", "0.1", "3", "[-0.3, 25.2]"],
        ["conv.weight", "MinMax()", "i8", "0.25 .. 0.5", "0", "[-63.5, 63.5]"],
        ["conv.bias", "bias", "i32", "0.025 .. 0.05", "0", ""],
        ["pool", "of x", "u8", "0.1", "3", "[-0.3, 25.2]"],
        ["conv", "accumulator", "i32", "0.025 .. 0.05", "0", ""],
        ["silu", "float", "f32", "", "", "no integer form"],
    ]


def test_zero_points_of_channels_print_as_their_range() -> None:
    params = QParams(torch.ones(2), torch.tensor([-3, 5], dtype=torch.int32), INT8, axis=0)
    assert "-3 .. 5" in str(Plan({"w": Own(params, "MinMax()")}, {}))
