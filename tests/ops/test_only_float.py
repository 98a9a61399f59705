from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.nets import lowered, seeded
from tests.ops.spelled import Spelled, captured, inputs
from zeropoint.capture import capture
from zeropoint.execute.reference import Reference
from zeropoint.graph.rewrite import find
from zeropoint.ops.only_float import CAPTURES, REASONS
from zeropoint.ops.opaque import Opaque
from zeropoint.passes import simplify
from zeropoint.program.coverage import coverage

OPERATORS: dict[str, tuple[Callable[[Tensor], Any], str]] = {
    "layer norm": (nn.LayerNorm(5), "divides by a deviation"),
    "group norm": (nn.GroupNorm(2, 8), "divides by a deviation"),
    "instance norm": (nn.InstanceNorm2d(8), "divides by a deviation"),
    "standard deviation": (lambda y: y.std((2, 3)), "divides by a deviation"),
    "normalize": (lambda y: F.normalize(y, dim=1), "divides by a deviation"),
    "softmax": (lambda y: y.softmax(1), "compares exponentials"),
    "log softmax": (lambda y: F.log_softmax(y, 1), "compares exponentials"),
    "attention": (lambda y: F.scaled_dot_product_attention(y, y, y), "its softmax compares"),
    "grid sample": (
        lambda y: F.grid_sample(y, y[:, :2].permute(0, 2, 3, 1), align_corners=False),
        "depends on the values of a tensor",
    ),
    "einsum": (lambda y: torch.einsum("nchw,nchw->nchw", y, y), "is no product of two matrices"),
    "fractional pooling": (
        lambda y: F.fractional_max_pool2d(y, 2, output_size=(2, 2)),
        "drawn at random",
    ),
    "maxima with indices": (
        lambda y: F.max_pool2d(y, 2, return_indices=True)[0],
        "where the maxima are besides",
    ),
    "fold": (lambda y: F.fold(y.flatten(2)[:, :, :4], (3, 3), 2), "adds overlapping windows"),
    "bicubic": (
        lambda y: F.interpolate(y, scale_factor=2, mode="bicubic"),
        "cubic polynomials",
    ),
    "antialiasing": (
        lambda y: F.interpolate(y, scale_factor=0.5, mode="bilinear", antialias=True),
        "antialiasing",
    ),
    "the greatest two": (lambda y: y.topk(2, 1)[0], "orders the values"),
    "a running sum": (lambda y: y.cumsum(1), "accumulates along a dimension"),
    "the place of the greatest": (lambda y: y.argmax(1).float(), "its results are indices"),
    "fourier": (lambda y: torch.fft.fft2(y).abs(), "zeropoint has no integer form for it"),
}


@pytest.mark.parametrize(("function", "reason"), OPERATORS.values(), ids=OPERATORS)
def test_an_operator_without_integer_form_is_an_island_with_a_reason(
    function: Callable[[Tensor], Any], reason: str
) -> None:
    x = inputs(4, 5)
    graph = captured(function, x)
    program = lowered(graph, x)
    reasons = [island.reason for island in coverage(program).islands]
    assert any(reason in why for why in reasons), reasons
    assert all(island.line for island in coverage(program).islands)
    model = seeded(Spelled(function))
    for sample in (x, inputs(6, 5, seed=1)):
        torch.manual_seed(0)
        found = Reference(program).run([sample])
        assert found[0].shape == (model(sample)).shape


def test_every_reason_belongs_to_operators_that_are_named_once() -> None:
    names = [name for group in REASONS.values() for name in group]
    assert len(names) == len(set(names)) == len(CAPTURES)
    for target, rule in CAPTURES.items():
        assert isinstance(rule(None, ()), str), target


def test_lp_pooling_is_powers_around_an_average() -> None:
    layers = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.LPPool2d(2, 2))
    graph = simplify(capture(seeded(layers), (inputs(4, 6),)))
    assert not find(graph, Opaque)
    assert any(node.op.name == "average_pool2d" for node in graph.nodes)
