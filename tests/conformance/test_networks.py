"""Whole programs, drawn at random: what is shared, kept, overwritten and reused between operators.

Every grid has the scale 1 and every weight the scale 1 / 1001, so that a result is an integer over
an odd number: never near a tie, whatever the order of the float32 operations. Every engine has to
give every integer exactly, however deep the network.
"""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, composite

from tests.conformance.draft import Case, Draft, Fill, Layout, Sample
from tests.conformance.executors import NAMES, maker
from zeropoint.arithmetic.integer import INT8, UINT8
from zeropoint.arithmetic.qparams import QParams, per_tensor
from zeropoint.execute.reference import Reference
from zeropoint.graph.value import Value
from zeropoint.ops.add import Add
from zeropoint.ops.clamp import Clamp
from zeropoint.ops.concat import Concat
from zeropoint.ops.conv import Conv2d
from zeropoint.ops.extremes import Maximum, Minimum
from zeropoint.ops.linear import Linear
from zeropoint.ops.mul import Mul
from zeropoint.ops.opaque import Opaque
from zeropoint.ops.pad import Pad
from zeropoint.ops.pool import AveragePool2d, GlobalAveragePool, MaxPool2d
from zeropoint.ops.quantize import Dequantize, Quantize, Requantize
from zeropoint.ops.shape import KEEP, Flatten, Reshape
from zeropoint.ops.table import Table

BATCH, CHANNELS, SIZE = 2, 8, 5
ODD = 1001


class Network:
    """A draft, the images (2, 8, 5, 5) written so far, and what to return."""

    def __init__(self, draw: DrawFn) -> None:
        self.draw = draw
        layout, sample = draw(st.sampled_from(Layout)), draw(st.sampled_from(Sample))
        self.draft = Draft(draw(st.integers(0, 1000)), layout, sample)
        shape = (BATCH, CHANNELS, SIZE, SIZE)
        self.images = [self.draft.activation(shape, self.grid()) for _ in range(2)]
        self.islands: dict[str, str] = {}

    def grid(self) -> QParams:
        return per_tensor(1.0, self.draw(st.sampled_from([0, 0, 7, 128, 255])), UINT8)

    def image(self) -> Value:
        return self.draw(st.sampled_from(self.images))

    def layer(
        self,
        op: Conv2d | Linear,
        x: Value,
        shape: tuple[int, ...],
        grid: QParams | None,
        *addend: Value,
    ) -> Value:
        params = per_tensor(1 / ODD, 0, INT8)
        q = self.draft.integers(shape, params, Fill.RANDOM)
        weight = self.draft.constant("weight", q, params)
        bias = self.draft.bias(x, weight, 1000 * self.draft.normal(shape[:1]))
        return self.draft.emit(op, x, weight, bias, *addend, params=grid or bias.params)


def conv(net: Network) -> Value:
    low, high = net.draw(st.sampled_from([(None, None), (0.0, None), (0.0, 6.0)]))
    op = Conv2d(padding=(1, 1), low=low, high=high)
    addend = [net.image()] if net.draw(st.booleans()) else []
    return net.layer(op, net.image(), (CHANNELS, CHANNELS, 3, 3), net.grid(), *addend)


def depthwise(net: Network) -> Value:
    op = Conv2d(padding=(1, 1), groups=CHANNELS)
    return net.layer(op, net.image(), (CHANNELS, 1, 3, 3), net.grid())


def concat(net: Network) -> Value:
    both = net.draft.emit(Concat(1), net.image(), net.image(), params=net.grid())
    return net.layer(Conv2d(), both, (CHANNELS, 2 * CHANNELS, 1, 1), net.grid())


def add(net: Network) -> Value:
    return net.draft.emit(Add(), net.image(), net.image(), params=net.grid())


def function_of_conv(net: Network) -> Value:
    function = (("clamp", "x", -200.0, None), ("div", "x1", 3.0))
    op = Conv2d(padding=(1, 1), function=function)
    addend = [net.image()] if net.draw(st.booleans()) else []
    return net.layer(op, net.image(), (CHANNELS, CHANNELS, 3, 3), net.grid(), *addend)


def table(net: Network) -> Value:
    op = Table((("abs", "x"), ("mul", "x1", 1 / 3)))
    return net.draft.emit(op, net.image(), params=net.grid())


def gate(net: Network) -> Value:
    """x times a number between 0 and 255 / 1001 for each of its channels, made of their means."""
    x = net.image()
    mean = net.draft.emit(GlobalAveragePool(), net.image(), params=net.grid())
    op = Table((("abs", "x"), ("mul", "x1", 0.0013)))
    factor = net.draft.emit(op, mean, params=per_tensor(1 / ODD, 0, UINT8))
    operands = [x, factor] if net.draw(st.booleans()) else [factor, x]
    return net.draft.emit(Mul(), *operands, params=net.grid())


def of_two(net: Network) -> Value:
    op = net.draw(st.sampled_from([Add(alpha=-1.0), Mul(), Maximum(), Minimum()]))
    return net.draft.emit(op, net.image(), net.image(), params=net.grid())


def average(net: Network) -> Value:
    op = AveragePool2d((3, 3), (1, 1), (1, 1))
    return net.draft.emit(op, net.image(), params=net.grid())


def requantize(net: Network) -> Value:
    return net.draft.emit(Requantize(), net.image(), params=net.grid())


def island(net: Network) -> Value:
    x = net.draft.emit(Dequantize(), net.image())
    y = net.draft.emit(Opaque("aten.neg.default", (("%", 0),)), x)
    net.islands[y.name] = "zeropoint has no integer form for it"
    return net.draft.emit(Quantize(), y, params=net.grid())


def reshape(net: Network) -> Value:
    x = net.image()
    rows = net.draft.emit(Reshape((KEEP, CHANNELS, SIZE * SIZE)), x, params=x.params)
    return net.draft.emit(Reshape((KEEP, CHANNELS, SIZE, SIZE)), rows, params=x.params)


def on_the_same_grid(net: Network) -> Value:
    x = net.image()
    ops = [
        MaxPool2d((3, 3), (1, 1), (1, 1)),
        MaxPool2d((1, 1), (1, 1)),
        Clamp(0.0),
        Clamp(-3.0, 40.0),
        Pad((0, 0, 0, 0)),
        Requantize(),
    ]
    return net.draft.emit(net.draw(st.sampled_from(ops)), x, params=x.params)


def flat(net: Network) -> Value:
    x = net.image()
    return net.draft.emit(Flatten(), x, params=x.params)


def mean(net: Network) -> Value:
    return net.draft.emit(GlobalAveragePool(keep=False), net.image(), params=net.grid())


def logits_of_the_mean(net: Network) -> Value:
    return net.layer(Linear(), mean(net), (3, CHANNELS), None)


def linear_after_flatten(net: Network) -> Value:
    return net.layer(Linear(), flat(net), (3, CHANNELS * SIZE * SIZE), net.grid())


def accumulators(net: Network) -> Value:
    return net.layer(Conv2d(), net.image(), (4, CHANNELS, 3, 3), None)


BLOCKS = [conv, conv, conv, depthwise, concat, add, average, requantize, island, reshape]
BLOCKS += [on_the_same_grid, on_the_same_grid, function_of_conv, table, gate, of_two]
HEADS = [flat, mean, logits_of_the_mean, linear_after_flatten, accumulators]


@composite
def networks(draw: DrawFn) -> Case:
    """Up to ten blocks over any images before them, and some images and heads returned."""
    net = Network(draw)
    for block in draw(st.lists(st.sampled_from(BLOCKS), min_size=1, max_size=10)):
        net.images.append(block(net))
    results = [net.images[-1], *draw(st.lists(st.sampled_from(net.images), max_size=2))]
    results += [head(net) for head in draw(st.lists(st.sampled_from(HEADS), max_size=2))]
    distinct = {value.name: value for value in results}
    return net.draft.case(*distinct.values(), islands=net.islands)


@pytest.mark.parametrize("engine", [name for name in NAMES if name != "reference"])
@settings(max_examples=80)
@given(case=networks(), shift=st.integers(1, 200))
def test_a_network_gives_the_same_integers_in_every_run(
    engine: str, case: Case, shift: int
) -> None:
    executor, reference = maker(engine)(case.program), Reference(case.program)
    others = [x.roll(shift) for x in case.inputs]
    first, second, third = (executor.run(inputs) for inputs in (case.inputs, others, case.inputs))
    # What the caller was given stays his, however often the program runs afterwards.
    for found, inputs in ((first, case.inputs), (second, others), (third, case.inputs)):
        for ours, theirs in zip(found, reference.run(inputs), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-4)
