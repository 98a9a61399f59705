"""prepare_qat() and convert(): into training, and out of it."""

import warnings
from collections.abc import Iterable
from dataclasses import replace

from torch import nn

from zeropoint.capture.tape import Tape
from zeropoint.errors import RecipeError
from zeropoint.model import QuantizedModel
from zeropoint.observe.statistics import Statistics
from zeropoint.pipeline import Clock, ForTraining, calibrated, checksums
from zeropoint.progress import Progress, silent
from zeropoint.recipe import Recipe, checked
from zeropoint.train.assembly import Training, with_room
from zeropoint.train.batch_norm import Folded, Live, Way
from zeropoint.train.computed import copied, without
from zeropoint.train.fidelity import check_gradients
from zeropoint.train.learned_step import LearnedStep
from zeropoint.train.method import Method
from zeropoint.train.module import BatchNorm, QuantizationAware
from zeropoint.train.moving_range import MovingGrid


def prepare_qat(
    model: nn.Module,
    loader: Iterable[object] | Statistics,
    recipe: Recipe | None = None,
    *,
    weights: Method | None = None,
    activations: Method | None = None,
    batch_norm: Way | None = None,
    samples: int = 512,
    engine: str = "auto",
    progress: Progress | None = None,
) -> QuantizationAware:
    """A copy of the model to train on, with the roundings that the integer program will have.

    It begins on the graph and the plan of `quantize`, with biases corrected; weights are rounded to
    the nearest, and channels are not equalized. Its parameters are the model's by name, and what
    the model computes weights from is computed in each step. TrainingError names what has other
    gradients than the model. `weights`
    and `activations` say how grids follow the data (LearnedStep, MovingRange, CurrentRange), and
    `batch_norm` how training goes through batch norms (Live, Folded, Unfolded). Train it in your
    own loop; `convert` makes the integer network. The model is not changed. Raises what `quantize`
    raises, here and not after a day of training.
    """
    methods = weights or LearnedStep(), activations or LearnedStep()
    _check_methods(*methods)
    way = batch_norm or Live()
    plain = without(model)
    tape = Tape([*plain.named_parameters(), *plain.named_buffers()])
    made = calibrated(
        plain,
        loader,
        checked(recipe),
        samples,
        engine,
        progress or silent,
        Clock(),
        training=ForTraining(tape, _live_norms(model, way), checksums(model)),
    )
    assignment = with_room(made.assignment, made.target)
    training = Training(*methods, way, engine)
    example, made = made.example, replace(made, assignment=assignment, example=())
    qat = QuantizationAware(model, made, training, tape)
    check_gradients(model, qat, QuantizationAware.walk, example, qat.folded_names())
    qat.take_back_shifts(recipe or Recipe())
    return qat


def _live_norms(model: nn.Module, way: Way) -> frozenset[str]:
    """The batch norms that normalize by each batch when the model is set to training."""
    if isinstance(way, Folded):
        return frozenset()
    modules = copied(model).train().named_modules(remove_duplicate=False)
    return frozenset(n for n, m in modules if isinstance(m, BatchNorm) and m.training)


def convert(qat: QuantizationAware) -> QuantizedModel:
    """The integer network of the module as it is now; the module may be trained on.

    It computes what the module computes in eval mode. Warns once if the module was never trained,
    or if its ranges still move.
    """
    doubt = _doubt(qat)
    if doubt is not None and not qat.has_warned:
        qat.has_warned = True
        warnings.warn(doubt, stacklevel=2)
    snapshot = qat.snapshot(again=True)
    return QuantizedModel(snapshot.program, qat.how.engine, plan=snapshot.plan)


def _doubt(qat: QuantizationAware) -> str | None:
    if int(qat.steps) == 0:
        return "the model was converted before a single training step: quantize() does that better"
    moving = [n for n, q in qat.quantizers().items() if isinstance(q, MovingGrid) and q.moves]
    if moving:
        return (
            f"the ranges of {len(moving)} activations still move, {moving[0]!r} first; call "
            "freeze_ranges(qat) for the last epochs, so that the weights see their final grids"
        )
    return None


def _check_methods(weights: Method, activations: Method) -> None:
    if not weights.for_weights:
        raise RecipeError(
            f"weights={weights}: a weight is there in every step, so its range needs no average; "
            "use LearnedStep() or CurrentRange()"
        )
    if not activations.for_activations:
        raise RecipeError(
            f"activations={activations}: the integer program cannot compute the range of each "
            "batch; use LearnedStep() or MovingRange()"
        )
