"""analyze(): which layer costs accuracy, why, and what to do about it.

    1. walk      float and integer values in step over the batches, each error taken apart
    2. effects   at each unit, both walks go on to the outputs: with it alone, and without it
    3. checks    what is wrong, with the change that mends it and what that should gain

Nothing is computed twice: the images are seen once, and an effect begins where its unit stands.
"""

from collections.abc import Iterable

from torch import nn

from zeropoint.batches import (
    calibration_batches,
    check_inputs,
    first_and_all,
    input_names,
    inputs_of,
)
from zeropoint.model import QuantizedModel
from zeropoint.observe.statistics import Observed, Statistics
from zeropoint.pipeline import checksums, float_graph_of, places_of
from zeropoint.progress import Progress, silent
from zeropoint.report.analysis.analysis import Analysis
from zeropoint.report.analysis.survey import Survey
from zeropoint.samples import Samples, whole_number


def analyze(
    model: nn.Module,
    q: QuantizedModel,
    loader: Iterable[object],
    *,
    samples: int = 128,
    ranking: bool = True,
    progress: Progress | None = None,
) -> Analysis:
    """Where `q` loses what `model` knows, on images of the loader (labels are not needed).

    `ranking` measures each unit's effect on the outputs as well, for about as many forward passes
    as the network has layers. ProgramError if `q` was not made of `model`; CalibrationError for
    images that it cannot take.
    """
    report = progress or silent
    most = whole_number(samples, "an analysis")
    names = input_names(model)
    first, batches = first_and_all(loader)
    example = inputs_of(first, names)
    check_inputs(example, "batch 0 of the loader")
    graph = float_graph_of(q.program, model, example)
    shapes = {
        name: graph.values[value].shape for name, value in zip(names, graph.inputs, strict=True)
    }
    survey = Survey(graph, q.program, ranking=ranking)
    report("analyze", 0, most)
    # The loader is the user's code: gradients and training flags as they are.
    given = calibration_batches(batches, shapes, most, lambda done: None)
    for inputs in Samples(given, list(shapes.values()), loader).all():
        survey.add(inputs)
        report("analyze", survey.outputs.samples, most)
    return survey.analysis(
        Statistics(
            values={
                name: Observed(*place, survey.observations[name])
                for name, place in places_of(graph).items()
            },
            input_shapes=tuple(tuple(x.shape) for x in example),
            samples=survey.outputs.samples,
            weights=checksums(model),
            levels=q.program.levels,
        )
    )
