"""What happens at some step of a training. Plain functions: the loop is the user's.

freeze_ranges(qat)          at the start of the last third, say
freeze_batch_norm(qat)      when the learning rate has become small
narrow(qat, loader, recipe) from 8 to 4 to 2 bits, weights and optimizer go on
reestimate_batch_norm(...)  at the end, before `convert`
"""

from collections.abc import Iterable
from dataclasses import replace
from itertools import islice

import torch
from torch import Tensor, nn

from zeropoint.assign import Assignment, assign
from zeropoint.batches import inputs_of
from zeropoint.calibrate import choose
from zeropoint.distributed import mean
from zeropoint.errors import RecipeError, TrainingError
from zeropoint.passes.remove_dropout import remove_dropout
from zeropoint.pipeline import Data
from zeropoint.progress import silent
from zeropoint.recipe import Recipe
from zeropoint.train.module import QuantizationAware


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

    Dropout is off, and nothing else changes. TrainingError if there is no batch norm.
    """
    norms = [norm for norm in qat.batch_norms() if norm.track_running_stats]
    if not norms:
        raise TrainingError(
            "there is no batch norm to re-estimate: they were folded before training, or the model "
            "has none"
        )
    momenta, modes = [norm.momentum for norm in norms], [m.training for m in qat.modules()]
    qat.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum, norm.training = None, True  # None is the mean of all batches
    try:
        with torch.no_grad():
            for batch in islice(loader, batches):
                qat.walk(inputs_of(batch, qat.input_names))
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        for module, mode in zip(qat.modules(), modes, strict=True):
            module.training = mode
    for norm in norms:
        _share(norm)


def _share(norm: nn.Module) -> None:
    for statistic in (norm.running_mean, norm.running_var):
        assert isinstance(statistic, Tensor)  # it tracks statistics
        statistic.copy_(mean(statistic))


def narrow(
    qat: QuantizationAware, loader: Iterable[object], recipe: Recipe, *, samples: int = 512
) -> None:
    """Train on with another recipe for the same layers, of fewer bits say.

    Grids are calibrated anew for the weights as they are; parameters, their optimizer's state and
    batch norms go on. RecipeError, with nothing changed, if the recipe quantizes other values.
    """
    made = qat.made
    graph = remove_dropout(qat.current_graph())
    assignment = assign(graph, recipe, made.target)
    _check_same(made.assignment, assignment)
    data = Data(qat.input_names, loader, samples)
    observations = data.observe(graph, assignment.own, "calibrate", silent)
    plan = choose(graph, assignment, observations, made.target)
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
