"""nn.Module -> Graph, through torch.export.

    1. check       float32 parameters, all finite (acceptance.py); an example that it runs on
                   (example.py); no state and no chance (behavior.py, written.py)
    2. export      torch.export in eval mode; batch and image size free where the model allows it
                   (exporting.py)
    3. inline      parts under a disabled autocast, or under a gradient mode (regions.py)
    4. functional  in-place operators become pure ones (inplace.py)
    5. translate   one capture rule an operator; what has none becomes a float island
                   (translation.py)
    6. compare     the graph beside the model, on a sample (behavior.py)

Every node keeps the layer it came from and the user's line.
"""

import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stderr

import torch
from torch import Tensor, nn

from zeropoint.capture.acceptance import check_finite, check_model
from zeropoint.capture.behavior import check_repeatable, check_same
from zeropoint.capture.evaluating import evaluating, unchanged
from zeropoint.capture.example import check_batched, few, runnable
from zeropoint.capture.exporting import exported
from zeropoint.capture.fixed_sizes import (
    batch_is_fixed,
    warn_of_fixed_batch,
    warn_of_fixed_sizes,
)
from zeropoint.capture.inplace import functional
from zeropoint.capture.regions import inline_regions
from zeropoint.capture.tape import Tape
from zeropoint.capture.translation import Translation
from zeropoint.capture.written import check_written
from zeropoint.graph.graph import Graph


def capture(model: nn.Module, example: Sequence[Tensor], tape: Tape | None = None) -> Graph:
    """The model's inference function as a graph of float operators, any batch size.

    `example` is one batch for each positional input; its contents do not matter. The model is not
    changed. The tape, if there is one, hears how constants are computed from the model's tensors.
    CaptureError names the line of the model that cannot be captured.
    """
    check_model(model)
    with evaluating(model), unchanged(model) as before, torch.no_grad():
        example = runnable(model, example)
        sample = few(model, example)
        check_repeatable(model, sample, before)
        written = before.changes()
        before.restore()
        with _torch_silent():
            program, line = exported(model, example)
        check_written(model, program, written)
        with _torch_silent():
            inline_regions(program.graph_module)
            program, renamed = functional(program)
            with tape or nullcontext():
                graph = Translation(model, program, renamed).graph()
        check_finite(model, graph.constants)
        fixed = batch_is_fixed(graph)
        if fixed:
            check_batched(model, example)
        check_same(model, graph, example if fixed else sample)
        warn_of_fixed_sizes(model, example, graph)
        if fixed:
            warn_of_fixed_batch(model, graph, line)
    return graph


@contextmanager
def _torch_silent() -> Iterator[None]:
    """Nothing of what torch.export says on the way: where it fails, our error says why."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
