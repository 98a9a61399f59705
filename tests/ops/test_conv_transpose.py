from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.nets import assert_same_function, lowered, seeded
from zeropoint.arithmetic.integer import INT8, INT32, UINT8
from zeropoint.arithmetic.qparams import QParams, per_tensor
from zeropoint.arithmetic.requantize import Float32
from zeropoint.capture import capture
from zeropoint.execute.reference import Reference
from zeropoint.graph.build import float_graph
from zeropoint.graph.op import Grid, Role, Signature
from zeropoint.graph.rewrite import find
from zeropoint.ops.conv_transpose import (
    TRANSPOSED,
    ConvTranspose,
    ConvTranspose2d,
    as_torch,
    conv_transpose,
    convolution,
    from_torch,
)
from zeropoint.passes import simplify

MODULES: dict[int, Any] = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
BATCH_NORMS: dict[int, Any] = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
OPTIONS = [
    {"kernel_size": 2, "stride": 2},
    {"kernel_size": 4, "stride": 2, "padding": 1},
    {"kernel_size": 3, "stride": 2, "padding": 1, "output_padding": 1},
    {"kernel_size": 3, "groups": 2},
    {"kernel_size": 3, "groups": 4, "stride": 2, "bias": False},
    {"kernel_size": 2, "dilation": 2, "padding": 1},
]


def inputs(rank: int) -> Tensor:
    return torch.randn(2, 4, *[5] * rank, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("rank", MODULES)
def test_every_transposed_convolution_is_captured_as_it_is(
    rank: int, options: dict[str, Any]
) -> None:
    model, x = seeded(MODULES[rank](4, 8, **options)), inputs(rank)
    graph = capture(model, (x,))
    (node,) = graph.nodes
    assert isinstance(node.op, TRANSPOSED[rank])
    with torch.no_grad():
        torch.testing.assert_close(
            node.op.run(x, *(graph.constants[name] for name in node.inputs[1:])), model(x)
        )


@pytest.mark.parametrize("rank", MODULES)
def test_batch_norm_folds_into_it_and_an_activation_joins_it(rank: int) -> None:
    layers = (MODULES[rank](4, 8, 3, 2, groups=2), BATCH_NORMS[rank](8), nn.ReLU())
    graph = capture(seeded(nn.Sequential(*layers)), (inputs(rank),))
    simple = simplify(graph)
    (node,) = simple.nodes
    assert isinstance(node.op, ConvTranspose)
    assert node.op.low == 0.0
    assert_same_function(graph, simple, [inputs(rank)], 1e-5)


def test_a_pad_before_it_stays() -> None:
    model = nn.Sequential(nn.ZeroPad2d(1), nn.ConvTranspose2d(4, 2, 2, 2))
    graph = simplify(capture(seeded(model), (inputs(2),)))
    assert [node.op.name for node in graph.nodes] == ["pad", "conv_transpose2d"]


@pytest.mark.parametrize("groups", [1, 2, 3])
def test_the_weight_is_rearranged_and_back(groups: int) -> None:
    weight = torch.randn(6, 5, 3, 2)  # torch's: C, O / groups, kH, kW
    rows = from_torch(weight, groups)
    assert rows.shape == (5 * groups, 6 // groups, 3, 2)
    assert torch.equal(as_torch(rows, groups), weight)


def test_each_output_channel_has_its_scale() -> None:
    last = nn.ConvTranspose2d(4, 6, 2, 2, groups=2)
    model = seeded(nn.Sequential(nn.Conv2d(4, 4, 1), last))
    with torch.no_grad():
        last.weight.mul_(torch.logspace(-2, 0, 3)[None, :, None, None])
    program = lowered(simplify(capture(model, (inputs(2),))), inputs(2))
    ((node, _),) = find(program.graph, ConvTranspose2d)
    params = program.graph.values[node.inputs[1]].params
    assert params is not None
    assert params.axis == 0
    assert params.scale.shape == (6,)
    assert float(params.scale[:3].max() / params.scale[:3].min()) > 10
    (y,) = Reference(program).run([inputs(2)])
    expected = model(inputs(2))
    noise = (y - expected).pow(2).mean((0, 2, 3)) / expected.pow(2).mean((0, 2, 3))
    assert float(noise.detach().max()) < 10**-2.5, "small channels are as exact as large ones"


def test_the_accumulator_is_the_exact_sum() -> None:
    x, w = per_tensor(0.1, 3, UINT8), per_tensor(0.02, 0, INT8)
    wide = QParams(x.scale * w.scale, torch.tensor(0, dtype=torch.int32), INT32)
    q = torch.tensor([[[[5, 2], [3, 255]]]], dtype=torch.uint8)
    weight = torch.tensor([[[[1, -2], [3, 4]]]], dtype=torch.int8)
    bias = torch.tensor([100], dtype=torch.int32)
    y = ConvTranspose2d(stride=(2, 2)).run_integer(
        (q, weight, bias), Signature((x, w, wide), wide), Float32()
    )
    assert y[0, 0].tolist() == [
        [102, 96, 99, 102],
        [106, 108, 97, 96],
        [100, 100, 352, -404],
        [100, 100, 856, 1108],
    ]


def test_it_reads_a_weight_and_a_bias_and_has_a_grid_of_its_own() -> None:
    assert ConvTranspose2d().roles(3) == (Role.ACTIVATION, Role.WEIGHT, Role.BIAS)
    assert ConvTranspose2d.grid is Grid.OWN


def test_one_that_has_no_integer_form_says_why() -> None:
    to, x = float_graph(("N", 4, 5, 5))
    weight = to.constant("w", torch.ones(4, 2, 3, 3))
    size = to.input("n", ())
    assert conv_transpose(to, x.shape, x, x) == "its weight is computed at run time"
    _, flat = float_graph((4, 5, 5))
    assert conv_transpose(to, x.shape, flat, weight) == "its input has no batch dimension"
    computed: list[Any] = [size, 0]
    assert conv_transpose(to, x.shape, x, weight, None, [2], [0], computed) == (
        "its output padding is computed at run time"
    )


def test_aten_convolution_is_either_kind() -> None:
    to, x = float_graph(("N", 4, 5, 5))
    weight = to.constant("w", torch.ones(4, 2, 3, 3))
    convolution(to, x.shape, x, weight, None, [2], [1], [1], True, [1], 1)
    assert to.nodes[-1].op == ConvTranspose2d((2, 2), (1, 1), output_padding=(1, 1))
