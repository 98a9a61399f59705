from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.nets import images, lowered, seeded
from zeropoint.borders import leaving, returning
from zeropoint.capture import capture
from zeropoint.graph.build import Builder, float_graph
from zeropoint.graph.graph import Graph, Node
from zeropoint.graph.op import IntegerOp, Op
from zeropoint.graph.structure import Leaf, Nest
from zeropoint.graph.value import Value
from zeropoint.ops.add import Add
from zeropoint.ops.clamp import Clamp
from zeropoint.ops.concat import Concat
from zeropoint.ops.conv import Conv2d
from zeropoint.ops.opaque import Opaque
from zeropoint.ops.permute import Permute
from zeropoint.ops.pool import GlobalAveragePool, MaxPool2d
from zeropoint.ops.quantize import Dequantize, Quantize
from zeropoint.ops.reduce import Amax, Mean
from zeropoint.passes import simplify
from zeropoint.program.coverage import coverage
from zeropoint.program.program import Program

IMAGE = ("N", 4, 8, 8)
TURN = Permute((0, 1, 3, 2))
ISLAND = Opaque("aten.softmax.int", (("%", 0), 1), (), "no integer form")


class Net:
    def __init__(self) -> None:
        self.to: Builder
        self.to, self.x = float_graph(IMAGE)

    def conv(self, name: str, x: Value) -> Value:
        w = self.to.constant(f"{name}.w", torch.ones(4, 4, 1, 1))
        b = self.to.constant(f"{name}.b", torch.ones(4))
        return self.op(name, Conv2d(), x, w, b)

    def op(self, name: str, op: Op, *operands: Value) -> Value:
        return self.to.emit(op, *operands, shape=IMAGE, name=name)

    def done(self, *outputs: Value) -> Graph:
        structure = Leaf() if len(outputs) == 1 else Nest((Leaf(),) * len(outputs))
        return self.to.done(outputs, structure)


def integer(graph: Graph) -> list[Node]:
    return [node for node in graph.nodes if isinstance(node.op, IntegerOp)]


def left(graph: Graph) -> set[str]:
    return set(leaving(graph, integer(graph)))


@pytest.mark.parametrize(
    "op", [TURN, Clamp(-1.0, 1.0), Amax((1,), True), GlobalAveragePool(), Mean((1,), True)]
)
def test_what_follows_the_last_layer_computes_with_its_accumulators(op: Op) -> None:
    net = Net()
    first = net.op("first", op, net.conv("a", net.x))
    assert left(net.done(net.op("second", TURN, first))) == {"first", "second"}


def test_heads_are_joined_as_real_numbers() -> None:
    net = Net()
    heads = [net.op(f"turned{i}", TURN, net.conv(f"h{i}", net.x)) for i in (1, 2)]
    assert left(net.done(net.op("cat", Concat(1), *heads))) == {"turned1", "turned2", "cat"}


def test_what_feeds_a_layer_as_well_does_not_leave() -> None:
    net = Net()
    turned = net.op("turned", TURN, net.conv("a", net.x))
    out = net.op("out", TURN, turned)
    assert left(net.done(out, net.conv("b", turned))) == set()


def test_what_reads_codes_besides_does_not_leave() -> None:
    net = Net()
    pooled = net.op("pool", MaxPool2d((1, 1), (1, 1)), net.conv("a", net.x))
    total = net.op("sum", Add(), net.conv("b", pooled), pooled)
    assert left(net.done(total)) == set()


def test_the_greatest_of_a_window_is_as_good_on_codes() -> None:
    net = Net()
    pool = MaxPool2d((2, 2), (2, 2))
    assert left(net.done(net.op("pool", pool, net.conv("a", net.x)))) == set()


def test_what_stands_between_a_layer_and_an_island_goes_with_the_island() -> None:
    net = Net()
    turned = net.op("turned", TURN, net.conv("a", net.x))
    assert left(net.done(net.conv("b", net.op("island", ISLAND, turned)))) == {"turned"}


def returned(graph: Graph, *inside: str) -> set[str]:
    able = [node for node in graph.nodes if node.output in inside]
    candidates = [node for node in graph.nodes if node.output not in inside]
    return set(returning(graph, able, candidates))


def test_what_moves_floats_for_a_layer_moves_bytes_instead() -> None:
    net = Net()
    turned = net.op("second", TURN, net.op("first", TURN, net.op("island", ISLAND, net.x)))
    assert returned(net.done(net.conv("a", turned)), "a") == {"first", "second"}


def test_what_an_island_reads_too_or_the_outside_stays_as_it_is() -> None:
    net = Net()
    turned = net.op("turned", TURN, net.x)
    other = net.op("island", ISLAND, turned)
    assert returned(net.done(net.conv("a", turned), other), "a") == set()
    net = Net()
    turned = net.op("turned", TURN, net.x)
    assert returned(net.done(net.conv("a", turned), turned), "a") == set()


def test_what_leaves_less_to_quantize_stays_before_the_border() -> None:
    net = Net()
    greatest = net.op("greatest", Amax((1,), True), net.op("island", ISLAND, net.x))
    assert returned(net.done(net.conv("a", greatest)), "a") == set()


# --- whole networks: an island costs one dequantize and one quantize ---------------------------


class Attention(nn.Module):
    """Patches, layer norm, attention by matrix products, a layer: two islands."""

    def __init__(self, channels: int = 16) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, channels, 4, 4)
        self.norm = nn.LayerNorm(channels)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.last = nn.Linear(channels, 5)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.patches(x).flatten(2).transpose(1, 2))  # (N, L, C)
        q, k, v = self.qkv(y).chunk(3, -1)
        weights = torch.softmax(q @ k.transpose(1, 2) * 0.25, -1)
        z: Tensor = self.last((weights @ v).mean(1))
        return z


class ConvNeXtBlock(nn.Module):
    def __init__(self, channels: int = 8) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, channels, 2, 2)
        self.depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.norm = nn.LayerNorm(channels)
        self.wide = nn.Linear(channels, 4 * channels)
        self.narrow = nn.Linear(4 * channels, channels)
        self.scale = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        y = self.scale * self.narrow(F.gelu(self.wide(y)))
        return F.max_pool2d(x + y.permute(0, 3, 1, 2), 2)


def fences(program: Program) -> tuple[int, int]:
    """How often integers become real numbers, other than accumulators, and the other way."""
    values = program.graph.values
    down = [node for node in program.graph.nodes if isinstance(node.op, Dequantize)]
    narrow = [node for node in down if params_bits(values[node.inputs[0]]) <= 8]
    up = [node for node in program.graph.nodes if isinstance(node.op, Quantize)]
    return len(narrow), len(up)


def params_bits(value: Value) -> int:
    assert value.params is not None
    return value.params.type.bits


def program_of(model: nn.Module) -> Program:
    x = images(4, size=16)
    return lowered(simplify(capture(seeded(model), (x,))), x)


def islands(program: Program) -> list[Any]:
    return [island.operator for island in coverage(program).islands]


def test_attention_has_two_islands_and_a_quantize_for_each() -> None:
    program = program_of(Attention())
    assert islands(program) == ["aten.layer_norm.default", "aten.softmax.int"]
    # Both islands read accumulators; the image, and the results of both, are quantized.
    assert fences(program) == (0, 3)


def test_a_convnext_block_has_one_island() -> None:
    program = program_of(ConvNeXtBlock())
    assert islands(program) == ["aten.layer_norm.default"]
    assert fences(program) == (1, 2)  # the output; the image and the result of the norm


def test_adjacent_operators_of_an_island_share_its_fences() -> None:
    class Normalized(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 4, 1)

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.last(F.normalize(self.first(x).relu(), dim=1))
            return y

    program = program_of(Normalized())
    assert len(islands(program)) > 1
    assert fences(program) == (0, 2)  # the image, and the result of the island
