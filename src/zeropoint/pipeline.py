"""quantize(), and observe(), its first half: the arrows of the design, in their order."""

import time
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import nn

from zeropoint.assign import assign
from zeropoint.batches import (
    Inputs,
    calibration_batches,
    check_inputs,
    first_and_all,
    input_names,
    inputs_of,
)
from zeropoint.calibrate import choose
from zeropoint.calibrate import observe as observe_values
from zeropoint.capture import capture
from zeropoint.errors import CalibrationError
from zeropoint.execute.engines import choose_engine
from zeropoint.graph.graph import Graph
from zeropoint.graph.macs import count_macs
from zeropoint.graph.value import Plain, Shape
from zeropoint.lower import lower
from zeropoint.model import QuantizedModel
from zeropoint.observe.observation import Observation
from zeropoint.observe.statistics import Observed, Statistics
from zeropoint.passes import simplify
from zeropoint.program.program import Program
from zeropoint.program.provenance import Provenance
from zeropoint.progress import Progress, silent
from zeropoint.recipe import Recipe
from zeropoint.target import REFERENCE, TARGETS, Target, target_here
from zeropoint.version import VERSION

Place = tuple[str, Shape]
"""The layer that a value belongs to, and its shape."""


def quantize(
    model: nn.Module,
    loader: Iterable[object] | Statistics,
    recipe: Recipe | None = None,
    *,
    samples: int = 512,
    engine: str = "auto",
    progress: Progress | None = None,
) -> QuantizedModel:
    """An integer network that computes what the model computes, as closely as 8 bits can.

    `loader` yields batches as for training: x, (x, y) or {"image": x, ...}, images as float32 NCHW;
    `samples` of them are looked at. In its place may stand what zeropoint.observe made of it: then
    no data are needed. The model is not changed. Raises CaptureError, RecipeError,
    CalibrationError or EngineError, each a sentence that names the layer or the batch.
    """
    recipe, report, clock = recipe or Recipe(), progress or silent, _Clock()
    target = target_here(choose_engine(engine))
    if isinstance(loader, Statistics):
        data: _Data | Statistics = loader
        example = _example_of(loader, model)
    else:
        data = _Data(model, loader, samples)
        example = data.example

    with clock.stage("capture"):
        report("capture", 0, None)
        captured = capture(model, example)
    with clock.stage("passes"):
        graph = _simplified(captured, target)
        origins = [[node.origin for node in g.nodes] for g in (captured, graph)]
        recipe.check_layers(*origins, inputs=graph.inputs)
        one = tuple(x[:1] for x in example)
        macs = count_macs(graph, one)
    with clock.stage("calibrate"):
        assignment = assign(graph, recipe, target)
        if isinstance(data, Statistics):
            data.check(_places_for(data, captured, graph), data.weights)
            observations = data.observations
        else:
            observations = data.observe(graph, assignment.own, "calibrate", report)
        plan = choose(graph, assignment, observations, target)
    with clock.stage("lower"):
        report("lower", 0, None)
        provenance = Provenance(
            zeropoint=VERSION,
            torch=torch.__version__,
            model=type(model).__name__,
            recipe=repr(recipe),
            target=target.name,
            samples=data.samples,
            input_shapes=tuple(tuple(x.shape) for x in one),
            macs=macs,
        )
        program = lower(graph, plan, provenance)
    with clock.stage("prepare"):
        report("prepare", 0, None)
        quantized = QuantizedModel(program, engine, plan=plan, timings=clock.seconds)
    quantized.timings = dict(clock.seconds)
    return quantized


def observe(
    model: nn.Module,
    loader: Iterable[object],
    *,
    samples: int = 512,
    progress: Progress | None = None,
) -> Statistics:
    """What every float32 activation of the model is on the loader's first `samples` samples.

    The activations are those that quantize() may have to represent: after batch norms are folded
    and activation functions fused. The statistics print as a table, can be saved and merged, and
    stand in for the loader in quantize(). The model is not changed. Raises CaptureError or
    CalibrationError.
    """
    report = progress or silent
    data = _Data(model, loader, samples)
    report("capture", 0, None)
    # Targets that fuse additions and functions need fewer of these values, and no other.
    graph = _unfused(capture(model, data.example))
    places = places_of(graph)
    observations = data.observe(graph, places, "observe", report)
    return Statistics(
        values={name: Observed(*place, observations[name]) for name, place in places.items()},
        input_shapes=tuple(tuple(x.shape) for x in data.example),
        samples=data.samples,
        weights=checksums(model),
    )


def float_graph_of(program: Program, model: nn.Module, example: Inputs) -> Graph:
    """The model's float graph in the form that the program was made of."""
    target = TARGETS.get(program.provenance.target, REFERENCE)
    return _simplified(capture(model, example), target)


def _simplified(graph: Graph, target: Target) -> Graph:
    return simplify(
        graph, fuse_additions=target.fuses_additions, fuse_functions=target.fuses_functions
    )


def _unfused(graph: Graph) -> Graph:
    return simplify(graph, fuse_additions=False, fuse_functions=False)


def _places_for(statistics: Statistics, captured: Graph, graph: Graph) -> dict[str, Place]:
    """What the statistics should hold: the values of the graph, or those before anything fuses."""
    places = places_of(graph)
    if statistics.values.keys() == places.keys():
        return places
    return places_of(_unfused(captured))


class _Data:
    """A loader whose first batch was read ahead; `samples` counts those that were looked at."""

    def __init__(self, model: nn.Module, loader: Iterable[object], samples: int) -> None:
        if samples < 1:
            raise CalibrationError(f"samples={samples}; calibration needs at least one")
        self.samples = 0
        self._most = samples
        self._names = input_names(model)
        first, self._batches = first_and_all(loader)
        self.example = inputs_of(first, self._names)
        check_inputs(self.example, "batch 0 of the loader")

    def observe(
        self, graph: Graph, names: Iterable[str], stage: str, report: Progress
    ) -> Mapping[str, Observation]:
        """What the named values hold, in one pass over the samples."""
        shapes = {
            name: graph.values[value].shape
            for name, value in zip(self._names, graph.inputs, strict=True)
        }

        def count(done: int) -> None:
            self.samples = done
            report(stage, done, self._most)

        chosen = calibration_batches(self._batches, shapes, self._most, count)
        return observe_values(graph, chosen, names)


def _example_of(statistics: Statistics, model: nn.Module) -> Inputs:
    """Inputs as those that were observed, but for their contents, which nobody looks at."""
    statistics.check(statistics.places, checksums(model))
    return tuple(torch.zeros(shape) for shape in statistics.input_shapes)


def places_of(graph: Graph) -> dict[str, Place]:
    """The layer and the shape of each value that may get a grid: float32, and computed."""
    places = {}
    for name, value in graph.values.items():
        if value.type == Plain(torch.float32) and name not in graph.constants:
            writer = graph.producers.get(name)
            places[name] = (writer.origin.layer if writer else "", value.shape)
    return places


def checksums(model: nn.Module) -> dict[str, int]:
    """A number for the contents of each parameter and buffer, by its name."""
    return {
        name: zlib.crc32(tensor.detach().cpu().contiguous().numpy().data)
        for name, tensor in model.state_dict().items()
        if isinstance(tensor, torch.Tensor) and tensor.is_floating_point()
    }


class _Clock:
    """Seconds by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        begin = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - begin
