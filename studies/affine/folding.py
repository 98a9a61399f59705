"""How far a convolution with its batch norm folded in is from the two layers.

Each network is captured and simplified by zeropoint, and the graph compared with the module.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from studies.affine.notebook import bare_copy, fold, fuse
from zeropoint.capture import capture
from zeropoint.graph.graph import Graph
from zeropoint.graph.walk import walk
from zeropoint.passes import simplify

SEED = 0
CHANNELS, OUT_CHANNELS, KERNEL = 6, 12, 3
IMAGES = (4, CHANNELS, 16, 16)

CASES: Mapping[str, Mapping[str, int | bool]] = {
    "with bias": {},
    "without bias": {"bias": False},
    "stride 2": {"stride": 2},
    "padding 2": {"padding": 2},
    "dilation 2": {"dilation": 2},
    "3 groups": {"groups": 3},
    "depthwise": {"groups": CHANNELS},
    "all, without bias": {"bias": False, "stride": 2, "padding": 2, "dilation": 2, "groups": 3},
}


@dataclass(frozen=True)
class Folding:
    """Largest differences over the largest output, `magnitude`, of the module.

    `float64` and `float32` are of zeropoint's folded graph. `fold` and `fuse` are of the notebook's
    two functions in float32, or say why there is no number.
    """

    operators: list[str]
    magnitude: float
    float64: float
    float32: float
    float32_absolute: float
    fold: float | str
    fuse: float | str


def foldings() -> dict[str, Folding]:
    return {name: folding(options) for name, options in CASES.items()}


def folding(options: Mapping[str, int | bool]) -> Folding:
    generator = torch.Generator().manual_seed(SEED)
    model = convolution_and_norm(options, generator)
    x = torch.randn(IMAGES, generator=generator)
    graph = capture(model, [x])
    folded = simplify(graph)
    with torch.no_grad():
        expected = model(x)
        difference = largest_difference(expected, walk(folded, [x])[0])
        notebook = {way: notebook_error(model, x, way) for way in ("fold", "fuse")}
        folded64 = simplify(in_float64(graph))
        exact = largest_difference(model.double()(x.double()), walk(folded64, [x.double()])[0])
    magnitude = expected.abs().max().item()
    return Folding(
        operators=[node.op.name for node in folded.nodes],
        magnitude=magnitude,
        float64=exact / magnitude,
        float32=difference / magnitude,
        float32_absolute=difference,
        **notebook,
    )


def convolution_and_norm(
    options: Mapping[str, int | bool], generator: torch.Generator
) -> nn.Sequential:
    """In eval mode, with statistics, factors (of both signs) and offsets that matter."""
    convolution = nn.Conv2d(CHANNELS, OUT_CHANNELS, KERNEL, **options)  # type: ignore[arg-type]  # each option has its own type
    for parameter in convolution.parameters():
        nn.init.uniform_(parameter, -0.2, 0.2, generator=generator)
    return nn.Sequential(convolution, trained_norm(OUT_CHANNELS, generator)).eval()


def trained_norm(channels: int, generator: torch.Generator) -> nn.BatchNorm2d:
    """A batch norm that is not the identity, which a new one is."""
    norm = nn.BatchNorm2d(channels).eval()
    assert norm.running_mean is not None
    assert norm.running_var is not None
    nn.init.normal_(norm.weight, generator=generator)
    nn.init.normal_(norm.bias, generator=generator)
    nn.init.normal_(norm.running_mean, generator=generator)
    nn.init.uniform_(norm.running_var, 0.1, 2.0, generator=generator)
    return norm


def in_float64(graph: Graph) -> Graph:
    return replace(graph, constants={name: c.double() for name, c in graph.constants.items()})


def notebook_error(model: nn.Sequential, x: Tensor, way: str) -> float | str:
    """The relative error of one layer in place of two, or what goes wrong first."""
    convolution, norm = model[0], model[1]
    assert isinstance(convolution, nn.Conv2d)
    assert isinstance(norm, nn.BatchNorm2d)
    if convolution.bias is None:
        return "needs a bias"
    if way == "fuse":
        layer = fuse(convolution, norm)
    else:
        layer = bare_copy(convolution)
        weight, bias = fold(convolution, norm)
        layer.weight, layer.bias = nn.Parameter(weight), nn.Parameter(bias)
    return relative_error(model(x), layer, x)


def relative_error(expected: Tensor, layer: nn.Conv2d, x: Tensor) -> float | str:
    if layer.weight.shape[1] * layer.groups != x.shape[1]:
        return "fails: no groups"
    found = layer(x)
    if found.shape != expected.shape:
        return "another shape"
    return largest_difference(expected, found) / expected.abs().max().item()


def largest_difference(expected: Tensor, found: Tensor) -> float:
    return (expected.double() - found.double()).abs().max().item()
