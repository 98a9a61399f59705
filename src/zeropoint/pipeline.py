"""quantize(): the arrows of the design, in their order."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import nn

from zeropoint.batches import (
    calibration_batches,
    check_inputs,
    first_and_all,
    input_names,
    inputs_of,
)
from zeropoint.calibrate import calibrate
from zeropoint.capture import capture
from zeropoint.errors import CalibrationError
from zeropoint.execute.engines import choose_engine
from zeropoint.graph.macs import count_macs
from zeropoint.lower import lower
from zeropoint.model import QuantizedModel
from zeropoint.passes import simplify
from zeropoint.program.provenance import Provenance
from zeropoint.progress import Progress, silent
from zeropoint.recipe import Recipe
from zeropoint.target import TARGETS
from zeropoint.version import VERSION


def quantize(
    model: nn.Module,
    loader: Iterable[object],
    recipe: Recipe | None = None,
    *,
    samples: int = 512,
    engine: str = "auto",
    progress: Progress | None = None,
) -> QuantizedModel:
    """An integer network that computes what the model computes, as closely as 8 bits can.

    `loader` yields batches as for training: x, (x, y) or {"image": x, ...}, images as float32 NCHW;
    `samples` of them are looked at. The model is not changed. Raises CaptureError, RecipeError,
    CalibrationError or EngineError, each a sentence that names the layer or the batch.
    """
    recipe, report, clock = recipe or Recipe(), progress or silent, _Clock()
    engine = choose_engine(engine)
    if samples < 1:
        raise CalibrationError(f"samples={samples}; calibration needs at least one")
    names = input_names(model)
    first, batches = first_and_all(loader)
    example = inputs_of(first, names)
    check_inputs(example, "batch 0 of the loader")

    with clock.stage("capture"):
        report("capture", 0, None)
        captured = capture(model, example)
    with clock.stage("passes"):
        graph = simplify(captured)
        origins = [[node.origin for node in g.nodes] for g in (captured, graph)]
        recipe.check_layers(*origins)
        one = tuple(x[:1] for x in example)
        macs = count_macs(graph, one)
    with clock.stage("calibrate"):
        shapes = {
            name: graph.values[value].shape for name, value in zip(names, graph.inputs, strict=True)
        }
        chosen = calibration_batches(
            batches, shapes, samples, lambda done: report("calibrate", done, samples)
        )
        counted = _Counted(chosen)
        plan = calibrate(graph, counted, recipe, TARGETS[engine])
    with clock.stage("lower"):
        report("lower", 0, None)
        provenance = Provenance(
            zeropoint=VERSION,
            torch=torch.__version__,
            model=type(model).__name__,
            recipe=repr(recipe),
            samples=counted.samples,
            input_shapes=tuple(tuple(x.shape) for x in one),
            macs=macs,
        )
        program = lower(graph, plan, provenance)
    with clock.stage("prepare"):
        report("prepare", 0, None)
        quantized = QuantizedModel(program, engine, plan=plan, timings=clock.seconds)
    quantized.timings = dict(clock.seconds)
    return quantized


class _Counted:
    """Batches that count their samples as they pass."""

    def __init__(self, batches: Iterable[tuple[torch.Tensor, ...]]) -> None:
        self._batches = batches
        self.samples = 0

    def __iter__(self) -> Iterator[tuple[torch.Tensor, ...]]:
        for inputs in self._batches:
            self.samples += len(inputs[0])
            yield inputs


class _Clock:
    """Seconds by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        begin = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - begin
