"""What happens at some step of a training. Plain functions: the loop is the user's.

freeze_ranges(qat)          at the start of the last third, say
freeze_batch_norm(qat)      when the learning rate has become small
narrow(qat, loader, recipe) from 8 to 4 to 2 bits, weights and optimizer go on
reestimate_batch_norm(...)  at the end, before `convert`
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice

import torch
from torch import Tensor

from zeropoint.assign import Assignment, assign
from zeropoint.batches import first_and_all, inputs_of
from zeropoint.calibrate import choose
from zeropoint.distributed import mean
from zeropoint.errors import RecipeError, TrainingError
from zeropoint.passes.remove_dropout import remove_dropout
from zeropoint.pipeline import Data
from zeropoint.progress import silent
from zeropoint.recipe import Recipe
from zeropoint.train.assembly import with_room
from zeropoint.train.module import BatchNorm, QuantizationAware


def freeze_ranges(qat: QuantizationAware) -> None:
    """Keep the ranges of activations where they are (MovingRange); learned steps go on."""
    qat.freeze(ranges=True)


def freeze_batch_norm(qat: QuantizationAware) -> None:
    """Normalize by running statistics from here on: as in eval mode, folded into the weights.

    Factors and offsets are trained on. The mode stays through later calls of train().
    """
    qat.freeze(batch_norm=True)


def reestimate_batch_norm(
    qat: QuantizationAware, loader: Iterable[object], *, batches: int = 100
) -> None:
    """Running statistics as the mean over batches of the quantized network, weights unchanged.

    Dropout is off, and nothing else changes. TrainingError, with nothing changed, if there is no
    batch norm; CalibrationError if there is no batch.
    """
    norms = [norm for norm in qat.batch_norms() if norm.track_running_stats]
    if not norms:
        raise TrainingError(
            "there is no batch norm to re-estimate: they were folded before training, or the model "
            "has none"
        )
    _, given = first_and_all(islice(loader, batches))
    sums, count = [torch.zeros(()) for _ in norms], 0
    with _measuring(qat, norms):
        for batch in given:
            found = _of_batch(qat, norms, inputs_of(batch, qat.input_names))
            sums = [sum + statistics for sum, statistics in zip(sums, found, strict=True)]
            count += 1
    for norm, sum in zip(norms, sums, strict=True):
        _set(norm, mean(sum / count))


@contextmanager
def _measuring(qat: QuantizationAware, norms: Sequence[BatchNorm]) -> Iterator[None]:
    """Eval mode, but for the batch norms, which measure without memory; all is put back."""
    momenta, modes = [norm.momentum for norm in norms], [m.training for m in qat.modules()]
    qat.eval()
    for norm in norms:
        norm.momentum, norm.training = None, True  # None is the mean of all since the last reset
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        for module, mode in zip(qat.modules(), modes, strict=True):
            module.training = mode


def _of_batch(
    qat: QuantizationAware, norms: Sequence[BatchNorm], inputs: Sequence[Tensor]
) -> list[Tensor]:
    """The statistics of one batch (2, C) at each norm.

    The running ones stay as they are: some weights are folded by them before they are quantized.
    """
    like = next(norms[0].buffers())
    kept = [[buffer.clone() for buffer in norm.buffers()] for norm in norms]
    for norm in norms:
        assert norm.num_batches_tracked is not None  # it tracks statistics
        norm.num_batches_tracked.zero_()
    try:
        with torch.no_grad():
            qat.walk([x.to(like) if x.is_floating_point() else x.to(like.device) for x in inputs])
        return [_statistics(norm) for norm in norms]
    finally:
        for norm, buffers in zip(norms, kept, strict=True):
            for buffer, before in zip(norm.buffers(), buffers, strict=True):
                buffer.copy_(before)


def _statistics(norm: BatchNorm) -> Tensor:
    assert norm.running_mean is not None  # it tracks statistics
    assert norm.running_var is not None
    return torch.stack([norm.running_mean, norm.running_var]).to(torch.float64)


def _set(norm: BatchNorm, statistics: Tensor) -> None:
    assert norm.running_mean is not None  # it tracks statistics
    assert norm.running_var is not None
    norm.running_mean.copy_(statistics[0])
    norm.running_var.copy_(statistics[1])


def narrow(
    qat: QuantizationAware, loader: Iterable[object], recipe: Recipe, *, samples: int = 512
) -> None:
    """Train on with another recipe for the same layers, of fewer bits say.

    Grids are calibrated anew for the weights as they are; parameters, their optimizer's state and
    batch norms go on. RecipeError, with nothing changed, if the recipe quantizes other values.
    """
    made = qat.made
    graph = remove_dropout(qat.current_graph())
    assignment = with_room(assign(graph, recipe, made.target), made.target)
    # What calibration has tied to another's grid stays tied, and is no value of its own.
    tied = made.assignment.shared
    own = {name: spec for name, spec in assignment.own.items() if name not in tied}
    assignment = replace(assignment, own=own, shared={**assignment.shared, **tied})
    _check_same(made.assignment, assignment)
    data = Data(qat.input_names, loader, samples)
    observations = data.observe(graph, assignment.own, "calibrate", silent)
    plan = choose(graph, assignment, observations, made.target, may_tie=False)
    provenance = replace(made.provenance, recipe=repr(recipe), samples=data.samples)
    qat.restart(
        replace(
            made,
            graph=graph,
            assignment=assignment,
            observations=observations,
            plan=plan,
            provenance=provenance,
        )
    )


def _check_same(before: Assignment, after: Assignment) -> None:
    for name, spec in (*before.weights.items(), *before.own.items()):
        later = {**after.weights, **after.own}.get(name, spec)
        if (later.symmetric, later.granularity) != (spec.symmetric, spec.granularity):
            raise RecipeError(
                f"{name!r} has another symmetry or granularity under the two recipes; change bits "
                "only, or prepare_qat() anew"
            )
    for kind, old, new in (
        ("runs in integers", before.integer, after.integer),
        ("has a grid of its own", set(before.own), set(after.own)),
        ("shares a grid", set(before.shared), set(after.shared)),
    ):
        different = sorted(set(old) ^ set(new))
        if different:
            raise RecipeError(
                f"{different[0]!r} {kind} under one of the two recipes only; change bits, not "
                "which layers are quantized, or prepare_qat() anew"
            )
