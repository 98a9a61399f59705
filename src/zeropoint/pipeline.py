"""quantize(), and observe(), its first half: the arrows of the design, in their order."""

import math
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from zeropoint.assign import Assignment, assign
from zeropoint.balance.levels import PART, SAMPLES, levels_of
from zeropoint.batches import (
    Inputs,
    calibration_batches,
    check_inputs,
    check_integers,
    first_and_all,
    first_sample,
    input_names,
    inputs_of,
)
from zeropoint.calibrate import channel_axes, choose
from zeropoint.calibrate import observe as observe_values
from zeropoint.capture import capture
from zeropoint.capture.acceptance import check_model
from zeropoint.capture.tape import Tape
from zeropoint.distributed import share, total
from zeropoint.errors import CalibrationError
from zeropoint.execute.engines import choose_engine
from zeropoint.graph.graph import Graph
from zeropoint.graph.macs import count_macs
from zeropoint.graph.value import Plain, Shape
from zeropoint.graph.walk import Listener, walk
from zeropoint.lower import lower
from zeropoint.model import QuantizedModel
from zeropoint.notice import warn
from zeropoint.observe.merging import merged
from zeropoint.observe.observation import Observation
from zeropoint.observe.statistics import Observed, Statistics
from zeropoint.ops.quantize import Requantize
from zeropoint.passes import simplify
from zeropoint.passes.equalize import equalize
from zeropoint.passes.remove_dropout import remove_dropout
from zeropoint.plan import Plan, Shared
from zeropoint.program.program import Program
from zeropoint.program.provenance import Provenance
from zeropoint.progress import Progress, silent
from zeropoint.recipe import Recipe, checked
from zeropoint.refine.bias_correction import correct_biases
from zeropoint.refine.gptq import Collector, Moments, round_weights
from zeropoint.samples import Samples, whole_number
from zeropoint.settled import settled
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
    no data are needed, and weights are rounded to the nearest, since how inputs go together is not
    known. The model is not changed. Raises CaptureError, RecipeError,
    CalibrationError or EngineError, each a sentence that names the layer or the batch.
    """
    clock = Clock()
    wish = checked(recipe)
    made = calibrated(model, loader, wish, samples, engine, progress or silent, clock)
    with clock.stage("lower"):
        (progress or silent)("lower", 0, None)
        rounded = round_weights(made.graph, made.plan, made.moments, wish)
        corrected = correct_biases(made.graph, made.plan, made.observations, wish, rounded)
        program = lower(corrected, made.plan, made.provenance)
    with clock.stage("prepare"):
        (progress or silent)("prepare", 0, None)
        quantized = QuantizedModel(program, engine, plan=made.plan, timings=clock.seconds)
    quantized.timings = dict(clock.seconds)
    return quantized


@dataclass(frozen=True)
class ForTraining:
    """What training asks of calibration.

    `tape` hears how constants are made; `norms` are the paths of the batch norms that are going to
    normalize by each batch; `weights` are the checksums of the user's own tensors.
    """

    tape: Tape
    norms: frozenset[str]
    weights: Mapping[str, int]


@dataclass(frozen=True)
class Calibrated:
    """A model up to its plan: what is lowered at once, or trained first.

    `captured` is the model's graph as it is written, `graph` the same in the plan's operators.
    """

    captured: Graph
    graph: Graph
    assignment: Assignment
    observations: Mapping[str, Observation]
    moments: Mapping[str, Moments]
    plan: Plan
    target: Target
    provenance: Provenance
    example: Inputs


def calibrated(
    model: nn.Module,
    loader: Iterable[object] | Statistics,
    recipe: Recipe,
    samples: int,
    engine: str,
    report: Progress,
    clock: "Clock",
    *,
    training: ForTraining | None = None,
) -> Calibrated:
    """The first arrows, capture to calibrate; arguments and errors are those of quantize().

    What is to be trained is not fused across its dropouts, and its ranges are those of training.
    """
    check_model(model)
    target = target_here(choose_engine(engine))
    if isinstance(loader, Statistics):
        data: Data | Statistics = loader
        weights = training.weights if training else checksums(model)
        example = _example_of(loader, weights)
    else:
        data = Data(input_names(model), loader, samples)
        example = data.example
        check_integers(model, example, "batch 0 of the loader")

    with clock.stage("capture"):
        report("capture", 0, None)
        captured = capture(model, example, training.tape if training else None)
    for_training = training is not None
    with clock.stage("passes"):
        wide = recipe.residuals is not None
        graph = simplified(captured, target, for_training=for_training, wide_residuals=wide)
        graph = remove_dropout(graph) if for_training else graph
        origins = [[node.origin for node in g.nodes] for g in (captured, graph)]
        recipe.check_layers(*origins, inputs=graph.inputs)
        one = one_sample(graph, example)
        macs = count_macs(graph, one)
    with clock.stage("read"):
        if isinstance(data, Data):
            data.read(graph, report)
    with clock.stage("equalize"):
        if isinstance(data, Statistics):
            data.check(_places_for(data, captured, graph), data.weights)
        levels = _levels(graph, data, one, None if for_training else recipe)
        graph = equalize(graph, levels)
    with clock.stage("calibrate"):
        assignment = assign(graph, recipe, target)
        moments: Mapping[str, Moments] = {}
        if isinstance(data, Statistics):
            observations = with_copies(graph, data.observations)
        else:
            names = dict.fromkeys([*assignment.own, *channel_axes(graph)])
            collector = Collector(graph, recipe) if not for_training else None
            listen = collector.listen if collector else None
            read = graph
            if training:
                seen = settled(captured, data.first(captured, PART, SAMPLES), training.norms)
                read = remove_dropout(
                    simplified(seen, target, for_training=True, wide_residuals=wide)
                )
            observations = data.observe(read, names, "calibrate", report, listen)
            moments = collector.of_all_processes() if collector else {}
            warn_of_constant_inputs(graph, observations)
        plan = replace(choose(graph, assignment, observations, target), levels=levels)
        if for_training and target.saturating_pairs:  # weights are trained to 7 bits then
            plan = replace(
                plan, narrow={name: len(graph.constants[name]) for name in assignment.weights}
            )
        assignment = as_planned(assignment, plan)
        _tell_of_narrow_weights(plan, target)
    provenance = Provenance(
        zeropoint=VERSION,
        torch=torch.__version__,
        model=type(model).__name__,
        recipe=repr(recipe),
        target=target.name,
        samples=data.samples,
        input_shapes=tuple(tuple(x.shape) for x in one),
        macs=macs,
        narrow=plan.narrow,
    )
    return Calibrated(
        captured, graph, assignment, observations, moments, plan, target, provenance, example
    )


def _tell_of_narrow_weights(plan: Plan, target: Target) -> None:
    if plan.narrow:
        channels, layers = sum(plan.narrow.values()), len(plan.narrow)
        warn(
            f"this CPU has no VNNI instructions: {channels:,} channels of {layers} layers get "
            f"weights of 7 bits, or their products would saturate in the {target.name} engine; "
            'with engine="onnxruntime", or on a CPU with VNNI, all have 8'
        )


def _levels(
    graph: Graph, data: "Data | Statistics", one: Inputs, recipe: Recipe | None
) -> Mapping[str, Tensor]:
    """Those that data show; none without a recipe. Statistics have seen channels at their own."""
    if not isinstance(data, Statistics):
        found = data.first(graph, PART, SAMPLES)
        return levels_of(graph, one, found, recipe) if recipe else {}
    if data.levels and not (recipe and recipe.equalize):
        raise CalibrationError(
            "the statistics are of a network whose channels are equalized, and this one's are to "
            "stay as they are; pass what observe() gives"
        )
    return data.levels


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
    check_model(model)
    report = progress or silent
    data = Data(input_names(model), loader, samples)
    check_integers(model, data.example, "batch 0 of the loader")
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


def one_sample(graph: Graph, example: Inputs) -> Inputs:
    """The first sample of an example; all of it where the graph takes no single one."""
    one = first_sample(graph, example)
    try:
        with torch.no_grad():
            walk(graph, one)
    except (RuntimeError, IndexError, ValueError):  # what torch raises: no first axis is a batch
        return example
    return one


def warn_of_constant_inputs(graph: Graph, observations: Mapping[str, Observation]) -> None:
    """One warning for each input that is the same number everywhere in the calibration data."""
    for name in graph.inputs:
        seen = observations.get(name)
        if seen is not None and seen.total > 1 and seen.low == seen.high:
            warn(
                f"input {name!r} is {seen.low:g} everywhere in the calibration data: grids chosen "
                "on it fit no other; look at what the loader yields"
            )


def float_graph_of(program: Program, model: nn.Module, example: Inputs) -> Graph:
    """The model's float graph in the form that the program was made of."""
    target = TARGETS.get(program.provenance.target, REFERENCE)
    wide = any(isinstance(node.op, Requantize) for node in program.graph.nodes)
    graph = simplified(capture(model, example), target, wide_residuals=wide)
    return equalize(graph, program.levels)


def simplified(
    graph: Graph, target: Target, *, for_training: bool = False, wide_residuals: bool = False
) -> Graph:
    """The graph as a target wants it."""
    return simplify(
        graph,
        fuse_additions=target.fuses_additions,
        fuse_functions=target.fuses_functions,
        for_training=for_training,
        wide_residuals=wide_residuals,
    )


def _unfused(graph: Graph) -> Graph:
    return simplify(graph, fuse_additions=False, fuse_functions=False)


def _places_for(statistics: Statistics, captured: Graph, graph: Graph) -> dict[str, Place]:
    """What the statistics should hold: the values of the graph, or those before anything fuses."""
    places = places_of(graph)
    if statistics.values.keys() == places.keys():
        return places
    return places_of(_unfused(captured))


class Data:
    """A loader whose first batch was read ahead; `samples` counts those that were looked at.

    All that are to be looked at are read at once, and then come in an order of their own. Of
    several processes each looks at its share, and all come to know the whole.
    """

    def __init__(self, names: Sequence[str], loader: Iterable[object], samples: int) -> None:
        self.samples = 0
        self._most = share(whole_number(samples, "calibration"))
        self._names = names
        self._loader = loader
        first, self._batches = first_and_all(loader)
        self.example = inputs_of(first, self._names)
        check_inputs(self.example, "batch 0 of the loader")
        self._read: Samples | None = None

    def read(self, graph: Graph, report: Progress) -> Samples:
        """All samples, checked against the graph's inputs; read when first asked for."""
        if self._read is None:

            def count(done: int) -> None:
                report("read", done, self._most)

            shapes = self._shapes(graph)
            chosen = calibration_batches(self._batches, shapes, self._most, count)
            self._read = Samples(chosen, list(shapes.values()), self._loader)
            self.samples = total(len(self._read))
        return self._read

    def first(self, graph: Graph, part: float, most: int) -> Iterator[Inputs]:
        """Inputs of a part of the samples, of at most so many in all processes."""
        samples = self.read(graph, silent)
        yield from samples.first(min(math.ceil(part * self.samples), most))

    def observe(
        self,
        graph: Graph,
        names: Iterable[str],
        stage: str,
        report: Progress,
        also: Listener | None = None,
    ) -> Mapping[str, Observation]:
        """What the named values hold, in one pass over the samples."""
        samples = self.read(graph, report)

        def count(done: int) -> None:
            report(stage, done, len(samples))

        originals = [name for name in names if not _is_copy(graph, name)]
        originals += [graph.producers[name].inputs[0] for name in names if _is_copy(graph, name)]
        observations = merged(
            observe_values(graph, samples.all(count), dict.fromkeys(originals), also)
        )
        return with_copies(graph, observations)

    def _shapes(self, graph: Graph) -> dict[str, Shape]:
        """Of each input, by the name of the parameter."""
        shapes = (graph.values[value].shape for value in graph.inputs)
        return dict(zip(self._names, shapes, strict=True))


def as_planned(assignment: Assignment, plan: Plan) -> Assignment:
    """The assignment with the ties that were found when the data were seen."""
    entries = plan.entries.items()
    shared = {name: entry.source for name, entry in entries if isinstance(entry, Shared)}
    own = {name: spec for name, spec in assignment.own.items() if name not in shared}
    return replace(assignment, own=own, shared=shared)


def with_copies(graph: Graph, observations: Mapping[str, Observation]) -> Mapping[str, Observation]:
    """The observations, and those of requantized copies: their sources' own."""
    copies = {
        node.output: observations[node.inputs[0]]
        for node in graph.nodes
        if _is_copy(graph, node.output) and node.inputs[0] in observations
    }
    return {**observations, **copies}


def _is_copy(graph: Graph, name: str) -> bool:
    return name in graph.producers and isinstance(graph.producers[name].op, Requantize)


def _example_of(statistics: Statistics, weights: Mapping[str, int]) -> Inputs:
    """Inputs as those that were observed, but for their contents, which nobody looks at."""
    statistics.check(statistics.places, weights)
    return tuple(torch.zeros(shape) for shape in statistics.input_shapes)


def places_of(graph: Graph) -> dict[str, Place]:
    """The layer and the shape of each value that may get a grid: float32, and computed."""
    places = {}
    for name, value in graph.values.items():
        is_real = value.type == Plain(torch.float32) and name not in graph.constants
        if is_real and not _is_copy(graph, name):
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


class Clock:
    """Seconds by stage, in `seconds`."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        begin = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - begin
