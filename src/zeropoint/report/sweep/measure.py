"""Running a network once a batch up to the swept layer, and from there on once for each scale."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from zeropoint.arithmetic.qparams import QParams
from zeropoint.batches import Inputs
from zeropoint.errors import CalibrationError
from zeropoint.graph.graph import Graph, Node
from zeropoint.graph.walk import Kernel, advance, read
from zeropoint.observe.histogram import NotFinite
from zeropoint.observe.observation import Observation
from zeropoint.progress import Progress
from zeropoint.report.sweep.curves import Tally
from zeropoint.report.sweep.tensor import Rounding, Site

Round = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Point:
    """The grid on which integers are made, and the scale with which they are read."""

    grid: QParams
    scale: Tensor

    def rounded(self, real: Tensor, rounding: Rounding) -> Tensor:
        """The real numbers that the integers stand for."""
        z = self.grid.zero_point
        steps = rounding.of(real / self.grid.scale)
        return steps.clamp_(self.grid.low - z, self.grid.high - z).mul_(self.scale)


def observe_results(graph: Graph, site: Site, batches: Iterable[Inputs]) -> Observation:
    """What the layer gives on all batches; CalibrationError if that is not finite."""
    observation = Observation()

    def listen(name: str, x: Any) -> None:
        if name in site.results:
            observation.add(site.part(x))

    end = 1 + max(i for i, node in enumerate(graph.nodes) if node.output in site.results)
    for inputs in batches:
        live = dict(zip(graph.inputs, inputs, strict=True))
        with torch.inference_mode():
            try:
                advance(graph, live, 0, end, listener=listen)
            except NotFinite:
                raise CalibrationError(_not_finite(f"output of layer {site.layer!r}")) from None
    return observation


def measure(
    graph: Graph,
    site: Site,
    batches: Sequence[Inputs],
    points: Sequence[Point],
    rounding: Rounding,
    progress: Progress,
) -> tuple[list[Tally], list[Tally]]:
    """The errors of the layer's output and of the network's, for each point."""
    of_layer, of_output = [Tally() for _ in points], [Tally() for _ in points]
    total = len(batches) * len(points)
    for index, inputs in enumerate(batches):
        with torch.inference_mode():
            live: dict[str, Any] = dict(zip(graph.inputs, inputs, strict=True))
            advance(graph, live, 0, site.start)
            layer, outputs = _finish(graph, site, live, None)
            if not all(bool(torch.isfinite(y).all()) for y in (*layer, *outputs)):
                raise CalibrationError(_not_finite("model's output"))
            for number, point in enumerate(points):
                found = _finish(graph, site, live, _round_part(site, point, rounding))
                of_layer[number].add(layer, found[0])
                of_output[number].add(outputs, found[1])
                progress("sweep", index * len(points) + number + 1, total)
    return of_layer, of_output


def _finish(
    graph: Graph, site: Site, live: dict[str, Any], change: Round | None
) -> tuple[list[Tensor], list[Tensor]]:
    """The layer's results and the network's outputs, from where the swept tensor comes in."""
    live = dict(live)
    kernel: Kernel | None = None
    if change is not None:
        live |= {name: change(graph.constants[name]) for name in site.constants}
    if change is not None and not site.constants:
        live |= {name: change(live[name]) for name in site.results if name in live}
        kernel = _rounding_results(site, change)
    results = {name: live[name] for name in site.results if name in live}

    def listen(name: str, x: Any) -> None:
        if name in site.results:
            results[name] = x

    advance(graph, live, site.start, len(graph.nodes), listener=listen, kernel=kernel)
    outputs = read(graph, graph.outputs, live)
    real = [y for y in outputs if isinstance(y, Tensor) and y.is_floating_point()]
    return [site.part(results[name]) for name in site.results], real


def _rounding_results(site: Site, change: Round) -> Kernel:
    """The float form, and the layer's later calls rounded as its first."""

    def compute(node: Node, operands: Sequence[Any]) -> Any:
        result = node.op.run(*operands)
        return change(result) if node.output in site.results else result

    return compute


def _round_part(site: Site, point: Point, rounding: Rounding) -> Round:
    """Rounds a tensor, or the one channel of it that is swept."""

    def change(real: Tensor) -> Tensor:
        if site.channel is None:
            return point.rounded(real, rounding)
        index = (slice(None),) * (0 if site.constants else site.axis) + (site.channel,)
        mixed = real.clone()
        mixed[index] = point.rounded(real[index], rounding)
        return mixed

    return change


def _not_finite(what: str) -> str:
    return (
        f"the {what} is not finite on the batches although the input is: the float model "
        "overflows; check its weights and the normalization of the images"
    )
