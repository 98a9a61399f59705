"""The error over the scale of one tensor: a norm-factor curve for any layer of any network.

    r' = s clamp(round(r / s))        for each scale s, all other tensors float

A scale too small clips, one too large rounds coarsely; the error has its least value in between,
and each calibrator is a guess at where. The network runs up to the layer once a batch, and from
there on once a scale.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from zeropoint.arithmetic.integer import IntegerType
from zeropoint.arithmetic.qparams import QParams
from zeropoint.batches import (
    Inputs,
    calibration_batches,
    check_inputs,
    first_and_all,
    input_names,
    inputs_of,
)
from zeropoint.capture import capture
from zeropoint.errors import RecipeError
from zeropoint.graph.graph import Graph
from zeropoint.observe.best import CALIBRATORS, Best
from zeropoint.observe.calibrator import Calibrator, grid_of, grid_over
from zeropoint.observe.min_max import MinMax
from zeropoint.passes import simplify
from zeropoint.progress import Progress, silent
from zeropoint.recipe import TensorSpec
from zeropoint.report.sweep.curves import Sweep, errors_of
from zeropoint.report.sweep.measure import Point, measure, observe_results
from zeropoint.report.sweep.tensor import (
    Activations,
    Rounding,
    Site,
    Tensors,
    Weights,
    find_site,
    row_of_weights,
)
from zeropoint.samples import Samples, whole_number

MARKED: tuple[Calibrator, ...] = (*CALIBRATORS, Best())

OCTAVES = np.arange(-4.0, 1.01, 0.125)
"""Where no scales are given: from 1/16 to twice that of the whole range, eight an octave."""

OCTAVES_AROUND_STEP = np.arange(-0.25, 0.251, 0.0125)

LEAST, GREATEST = 2.0**-60, 2.0**60
"""Scales whose reciprocals, and products with an integer, are ordinary float32 numbers."""

EACH_WEIGHT = Weights()


def sweep(
    model: nn.Module,
    loader: Iterable[object],
    *,
    layer: str,
    scales: Iterable[float] | None = None,
    of: Tensors = EACH_WEIGHT,
    rounding: Rounding = Rounding.NEAREST,
    bits: int = 8,
    symmetric: bool | None = None,
    channel: int | None = None,
    samples: int = 64,
    progress: Progress | None = None,
) -> Sweep:
    """The errors of a layer's and of the network's output, for each scale of one of its tensors.

    `of` is `Weights()` or `Activations()`, the layer's output; with a `channel` that output channel
    alone is rounded. By default weights are symmetric and activations affine, as in a `Recipe`; an
    affine grid keeps the zero point that the whole range has. Without `scales` they lie around the
    scale of the whole range.

    The model is not changed. RecipeError for a layer, channel or scale that cannot be,
    CalibrationError for unusable data.
    """
    rounding = _checked(rounding, of)
    type = IntegerType(TensorSpec(bits=bits).bits, signed=isinstance(of, Weights))
    step = of.step if isinstance(of, Weights) else None
    chosen = None if scales is None else _checked_scales("scales", list(scales))
    captured, batches = _captured(model, loader, samples)
    graph = simplify(captured)
    site = find_site(graph, layer, of, channel, captured)

    is_symmetric = isinstance(of, Weights) if symmetric is None else symmetric
    grids = _grids(graph, site, batches, type, is_symmetric)
    whole, marks = grids[MinMax()], {} if step is not None else grids
    chosen = chosen or _scales_around(whole, step)
    points = [_point(whole, step, scale) for scale in chosen]
    points += [Point(grid, grid.scale) for grid in marks.values()]
    of_layer, of_output = measure(graph, site, batches, points, rounding, progress or silent)
    count = len(chosen)
    return Sweep(
        layer=layer,
        of=of,
        rounding=rounding,
        bits=bits,
        channel=channel,
        samples=sum(len(inputs[0]) for inputs in batches),
        scales=np.array(chosen, dtype=np.float64),
        layer_errors=errors_of(of_layer[:count]),
        output_errors=errors_of(of_output[:count]),
        marks={calibrator: float(grid.scale) for calibrator, grid in marks.items()},
        layer_errors_at_marks=errors_of(of_layer[count:]),
        output_errors_at_marks=errors_of(of_output[count:]),
    )


def _captured(
    model: nn.Module, loader: Iterable[object], samples: int
) -> tuple[Graph, tuple[Inputs, ...]]:
    """The model's graph, and the samples that are looked at, in memory."""
    most = whole_number(samples, "a sweep")
    names = input_names(model)
    first, batches = first_and_all(loader)
    example = inputs_of(first, names)
    check_inputs(example, "batch 0 of the loader")
    graph = capture(model, example)
    shapes = {name: graph.values[v].shape for name, v in zip(names, graph.inputs, strict=True)}
    given = calibration_batches(batches, shapes, most, lambda done: None)
    return graph, tuple(Samples(given, list(shapes.values()), loader).all())


def _grids(
    graph: Graph, site: Site, batches: Sequence[Inputs], type: IntegerType, is_symmetric: bool
) -> Mapping[Calibrator, QParams]:
    """The grid that each calibrator chooses for the swept tensor."""
    if not site.constants:
        observed = observe_results(graph, site, batches)
        return {c: grid_of(c, observed, type, is_symmetric) for c in MARKED}
    row = row_of_weights(graph, site)
    ranges = {c: c.from_rows(row, type, is_symmetric) for c in MARKED}
    return {c: grid_over(low[0], high[0], type, is_symmetric) for c, (low, high) in ranges.items()}


def _scales_around(whole: QParams, step: float | None) -> tuple[float, ...]:
    if step is not None:
        return tuple((step * 2.0**OCTAVES_AROUND_STEP).tolist())
    return tuple((float(whole.scale) * 2.0**OCTAVES).tolist())


def _point(whole: QParams, step: float | None, scale: float) -> Point:
    made_with = replace(whole, scale=_float32(scale if step is None else step))
    return Point(made_with, _float32(scale))


def _float32(number: float) -> Tensor:
    return torch.tensor(number, dtype=torch.float32)


def _checked(rounding: Rounding, of: Tensors) -> Rounding:
    if not isinstance(of, (Weights, Activations)):
        raise RecipeError(f"of={of!r} is no tensor of a layer; use Weights() or Activations()")
    if isinstance(of, Weights) and of.step is not None:
        _checked_scales("of=Weights(step)", [of.step])
    if rounding not in tuple(Rounding):
        known = ", ".join(map(repr, Rounding))
        raise RecipeError(f"rounding={rounding!r} is none of {known}")
    return Rounding(rounding)


def _checked_scales(name: str, scales: Sequence[float]) -> tuple[float, ...]:
    if not scales:
        raise RecipeError(f"{name} is empty; give some, or None for those around the whole range")
    for index, scale in enumerate(scales):
        if not (math.isfinite(scale) and LEAST <= scale <= GREATEST):
            raise RecipeError(
                f"{name}[{index}] is {scale:g}; a scale is the distance of two neighbours on the "
                f"grid, a positive number between {LEAST:.0e} and {GREATEST:.0e}"
            )
    return tuple(map(float, scales))
