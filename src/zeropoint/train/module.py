"""The model in training: fake quantization wherever the integer program narrows.

In training mode a step computes in float on the grids as they are, with gradients straight through
the roundings. In eval mode the module is the program that `convert` would make of it now, run by
the reference executor without gradients: what is evaluated is what will run, integer by integer.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from zeropoint.arithmetic.qparams import SMALLEST_SCALE, QParams, broadcast
from zeropoint.batches import input_names
from zeropoint.calibrate import derive
from zeropoint.capture.evaluating import evaluating
from zeropoint.capture.tape import Tape
from zeropoint.distributed import largest
from zeropoint.errors import TrainingError
from zeropoint.execute.reference import Reference
from zeropoint.graph.channels_last import as_channels_last
from zeropoint.graph.graph import Graph
from zeropoint.graph.op import Role
from zeropoint.graph.structure import nest
from zeropoint.lower import lower
from zeropoint.ops.quantize import Requantize
from zeropoint.passes.remove_dropout import remove_dropout
from zeropoint.pipeline import Calibrated, simplified
from zeropoint.plan import Own, Plan
from zeropoint.program.program import Program
from zeropoint.recipe import Recipe
from zeropoint.refine.bias_correction import correct_biases
from zeropoint.train.assembly import (
    QUANTIZERS,
    Training,
    on_cpu,
    place_quantizers,
    place_weights,
    starts_of_activations,
    starts_of_weights,
)
from zeropoint.train.batch_norm import factor_and_offset
from zeropoint.train.checkpoint import differences
from zeropoint.train.layers import Layer, constants_of, leaves_of, weighted
from zeropoint.train.method import FakeQuantizer
from zeropoint.train.moving_range import MovingGrid
from zeropoint.train.step import Step
from zeropoint.train.tensors import USERS, adopt, is_computed, names_of, tensor_at

BatchNorm = nn.modules.batchnorm._BatchNorm

ONE_GRID = 2.0**-20
"""Scales this near are one: a folded scale is that of folded weights but for rounding."""


@dataclass(frozen=True)
class Snapshot:
    """What the module would be converted to, as it is now; the executor is on its device."""

    program: Program
    plan: Plan
    executor: Reference


class QuantizationAware(nn.Module):
    """A model in quantization-aware training: what `prepare_qat` returns.

    Children, parameters and buffers have the names of the user's model, whose layers keep their
    momentum, eps, dropout and modes; `fake_quantizers` holds the grids. It takes any optimizer,
    device, autocast, state_dict and DistributedDataParallel.
    """

    steps: Tensor
    frozen: Tensor

    def __init__(self, model: nn.Module, made: Calibrated, training: Training, tape: Tape) -> None:
        super().__init__()
        self.made, self.how = made, training
        self.input_names = input_names(model)
        self.has_warned = False
        self._snapshot: tuple[list[int], Snapshot] | None = None
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        self.register_buffer("frozen", torch.zeros(2, dtype=torch.bool))  # batch norms, ranges
        adopt(self, model, (QUANTIZERS,))
        way = training.batch_norm
        self._graph = self._simplified(made.captured)
        with self._without_modes():
            self._weights = place_weights(self, made.captured, self._simplified, way, tape)
            self._setting = place_quantizers(self, self._graph, self._weights, made, training)
            trained = self._read()
        self._steps = [Step(self._setting, node, spent) for node, spent in self._graph.last_uses]
        for parameter in self.parameters():
            parameter.requires_grad_(parameter in trained)
        self.training = model.training
        self.get_submodule(QUANTIZERS).train(model.training)

    def forward(self, *inputs: Tensor) -> Any:  # nested like the model's output
        """The model's outputs, nested as the model nests them."""
        if not self.training:
            return self._evaluated(inputs)
        self._check_inputs(inputs)  # before they get into running statistics
        outputs = self.walk(inputs)
        if not _finite(outputs):
            reason = self._first_not_finite(inputs)
            self._forget_extremes()
            raise TrainingError(reason)
        self._move_ranges()
        self.steps += 1
        return nest(self._graph.structure, outputs)

    def walk(self, inputs: Sequence[Tensor], *, watch: bool = False) -> tuple[Any, ...]:
        """The outputs by the path of training, whatever the mode; `watch` stops at a NaN."""
        live = dict(zip(self._graph.inputs, map(as_channels_last, inputs), strict=True))
        for step in self._steps:
            step.run(self, live)
            if watch and not _finite(live[name] for name in step.node.outputs if name in live):
                raise TrainingError(step.node.origin.layer or step.node.output)
        return tuple(live[name] for name in self._graph.outputs)

    def _evaluated(self, inputs: Sequence[Tensor]) -> Any:  # nested like the model's output
        own = next((x.dtype for x in inputs if x.is_floating_point()), torch.float32)
        images = [as_channels_last(_in_type(x, torch.float32)) for x in inputs]
        with torch.autocast(inputs[0].device.type, enabled=False):
            outputs = self.snapshot().executor.run(images)
        return nest(self._graph.structure, [_in_type(x, own) for x in outputs])

    # --- modes -----------------------------------------------------------------------------------

    def train(self, mode: bool = True) -> "QuantizationAware":
        """Set the mode as the user's model does; batch norms that were frozen stay in eval mode."""
        self._snapshot = None  # tensors may have been written behind autograd's back
        self._users().train(mode)  # its class may have a train() of its own
        self.training = mode
        self._keep_frozen()
        return self

    def _users(self) -> nn.Module:
        model = self.__dict__[USERS]
        assert isinstance(model, nn.Module)  # adopt() has put it there
        return model

    @contextmanager
    def _without_modes(self) -> Iterator[None]:
        """Weights as inference has them: no power iteration goes on. Modes are put back."""
        with evaluating(self), evaluating(self._users()):
            yield

    def freeze(self, *, batch_norm: bool = False, ranges: bool = False) -> None:
        """Keep running statistics, or the ranges of activations, where they are."""
        self.frozen |= torch.tensor([batch_norm, ranges], device=self.frozen.device)
        self._keep_frozen()

    def _keep_frozen(self) -> None:
        batch_norm, ranges = self.frozen.tolist()
        for norm in self.batch_norms() if batch_norm else ():
            norm.training = False
        for quantizer in self._moving():
            quantizer.moves = not ranges

    def batch_norms(self) -> list[BatchNorm]:
        """The batch norms that are left."""
        return [module for module in self.modules() if isinstance(module, BatchNorm)]

    def quantizers(self) -> dict[str, FakeQuantizer]:
        """The fake quantizers by the names of their values."""
        children = self.get_submodule(QUANTIZERS).named_children()
        return {name.replace("/", "."): q for name, q in children if isinstance(q, FakeQuantizer)}

    def restart(self, made: Calibrated) -> None:
        """Go on with the grids of another plan for the same values."""
        starts = starts_of_activations(made)
        first = self._setting.folds_first
        of_weights = starts_of_weights(self, self._weights, made, first)
        for name, start in starts.items():
            self._quantizer(self._setting.grids[name]).begin(start)
        for output, start in of_weights.items():
            self._quantizer(self._setting.weights[output]).begin(start)
        self.made = made

    def take_back_shifts(self, recipe: Recipe) -> None:
        """Let biases make up for what the rounding of weights shifts, as quantize() does.

        Where a batch norm follows its running mean does, which is that of the rounded path from
        here on. Biases that are frozen, computed, or read by several layers stay, and so do those
        of weights that begin on another grid than the plan's: on LSQ's wide steps of few bits the
        shifts are so large that training ends worse for them.
        """
        graph, plan = self.trained()
        corrected = correct_biases(graph, plan, self.made.observations, recipe)
        users = Counter(name for layer in self._weights.layers.values() for name in _ends(layer))
        for node in weighted(graph):
            name, layer = constants_of(node)[Role.BIAS], self._weights.layers.get(node.output)
            before, after = graph.constants[name], corrected.constants[name]
            if before is after or layer is None or layer.weight is None:
                continue
            weight = constants_of(node)[Role.WEIGHT]
            ours, planned = (p.entries[weight].params.scale for p in (plan, self.made.plan))
            if not torch.allclose(ours, planned, rtol=ONE_GRID, atol=0.0):
                continue
            if all(users[end] == 1 for end in _ends(layer)):
                self._shift(layer, after - before)

    @torch.no_grad()
    def _shift(self, layer: Layer, by: Tensor) -> None:
        if layer.norm is not None:
            norm = self.get_submodule(layer.norm)
            mean = norm.running_mean
            assert isinstance(mean, Tensor)  # layers_of() says so
            factor, _ = factor_and_offset(norm, None)
            mean.sub_(torch.where(factor == 0, 0.0, by.to(mean) / factor))
        elif layer.bias is not None and not is_computed(self, layer.bias):
            bias = tensor_at(self, layer.bias)
            if isinstance(bias, nn.Parameter) and bias.requires_grad:
                bias.add_(by.to(bias))

    # --- state -----------------------------------------------------------------------------------

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> Any:  # torch's report of missing and unexpected keys
        """As torch's; TrainingError, with nothing loaded, for a checkpoint of other grids."""
        found = differences(self, state_dict, strict=strict)
        if found:
            raise TrainingError(
                "the checkpoint is of another recipe: " + "; ".join(found) + ". Prepare the model "
                "with the arguments that the checkpoint was trained with"
            )
        report = super().load_state_dict(state_dict, strict, assign)
        self._keep_frozen()
        return report

    def _read(self) -> set[nn.Parameter]:
        """The parameters to train: the user's as far as inference uses them, and the grids'."""
        names = set(self._setting.constants.values())
        for layer in self._weights.layers.values():
            names |= {name for name in (layer.weight, layer.bias) if name is not None}
            names |= {f"{layer.norm}.weight", f"{layer.norm}.bias"}
        found: set[nn.Parameter] = set()
        with torch.enable_grad():
            for name in names & names_of(self):
                found |= leaves_of(tensor_at(self, name))
        return found | set(self.get_submodule(QUANTIZERS).parameters())

    # --- what is not finite ----------------------------------------------------------------------

    def _check_inputs(self, inputs: Sequence[Tensor]) -> None:
        for name, x in zip(self.input_names, inputs, strict=False):
            if not _finite([x]):
                raise TrainingError(
                    f"input {name!r} of step {int(self.steps)} holds NaN or infinity; look at the "
                    "data"
                )

    def _first_not_finite(self, inputs: Sequence[Tensor]) -> str:
        """A sentence about where it begins: a parameter, or a layer."""
        step = int(self.steps)
        for name, parameter in self.named_parameters():
            if not _finite([parameter]):
                return (
                    f"parameter {name!r} is not finite in step {step}: an update before it was "
                    "not; go back to the last checkpoint, with a lower learning rate or with "
                    "clipped gradients"
                )
        try:
            with torch.no_grad():
                self.walk(inputs, watch=True)
        except TrainingError as error:
            return (
                f"the output of {error} is not finite in step {step}, although inputs and "
                "parameters are; lower the learning rate"
            )
        return f"the outputs of step {step} were not finite"

    # --- ranges ----------------------------------------------------------------------------------

    def _move_ranges(self) -> None:
        """Move the ranges by what this step has seen, in all processes."""
        moving = [quantizer for quantizer in self._moving() if quantizer.seen is not None]
        if moving:
            seen = largest(torch.stack([q.seen for q in moving if q.seen is not None]))
            for quantizer, extremes in zip(moving, seen, strict=True):
                quantizer.move(extremes)
        self._forget_extremes()

    def _forget_extremes(self) -> None:
        for quantizer in self._moving():
            quantizer.seen = None

    def _moving(self) -> list[MovingGrid]:
        return [grid for grid in self.quantizers().values() if isinstance(grid, MovingGrid)]

    # --- out of training -------------------------------------------------------------------------

    def snapshot(self, *, again: bool = False) -> Snapshot:
        """The program of the parameters and grids as they are.

        It is made anew when one of them has changed, unless that went through `.data`: then by
        `train`, `eval` or `again`. TrainingError names a tensor that is not finite.
        """
        tensors = [*self.parameters(), *self.buffers()]
        versions = [stamp for t in tensors for stamp in (t._version, t.data_ptr())]
        if again or self._snapshot is None or self._snapshot[0] != versions:
            self._check_tensors()
            graph, plan = self.trained()
            program = lower(graph, plan, self.made.provenance)
            here = program.to(next(self.parameters()).device)
            self._snapshot = (versions, Snapshot(program, plan, Reference(here)))
        return self._snapshot[1]

    def _check_tensors(self) -> None:
        for name, tensor in (*self.named_parameters(), *self.named_buffers()):
            if not _finite([tensor]):
                raise TrainingError(
                    f"{name!r} is not finite after step {int(self.steps)}, so there is no integer "
                    "network; go back to the last checkpoint"
                )

    def trained(self) -> tuple[Graph, Plan]:
        """The float graph with the weights as they are, and the plan of the grids as they are."""
        made = self.made
        with torch.no_grad(), self._without_modes():
            graph = remove_dropout(self.current_graph())
            none, grids = torch.empty(0), self._setting.grids
            activations = {
                name: Own(self._quantizer(grids[name]).grid(none), "trained")
                for name in made.assignment.own
            }
            weights = {}
            for node in weighted(graph):
                name = constants_of(node)[Role.WEIGHT]
                grid = self._weight_grid(node.output, graph.constants[name])
                if grid is not None:
                    weights[name] = Own(grid, "trained")
        return graph, derive(graph, made.assignment, activations, weights, made.target)

    def current_graph(self) -> Graph:
        """The training graph with the tensors as they are."""
        known, captured = names_of(self), self.made.captured
        constants = {
            name: on_cpu(tensor_at(self, name)) if name in known else tensor
            for name, tensor in captured.constants.items()
        }
        graph = self._simplified(replace(captured, constants=constants))
        own = {name: on_cpu(tensor_at(self, at)) for name, at in self._weights.folded.items()}
        return replace(graph, constants={**graph.constants, **own})

    def folded_names(self) -> set[str]:
        """The names under which folded tensors stand in the place of the user's."""
        return set(self._weights.folded.values())

    def weight_quantizers(self) -> list[str]:
        """The outputs of the layers whose weights are quantized, for `weight_and_grid`.

        Of layers that share a weight and its grid, the last; none whose weights are computed.
        """
        layers = self._weights.layers
        return list(
            {
                key: output
                for output, key in self._setting.weights.items()
                if not is_computed(self, layers[output].weight or "")
            }.values()
        )

    def weight_and_grid(self, output: str) -> tuple[Tensor, QParams]:
        """A layer's own weight as it is trained, and its grid before any fold.

        Where a weight is quantized behind the fold, that is the grid divided by the factor, which
        may be negative.
        """
        layer = self._weights.layers[output]
        assert layer.weight is not None  # what has no weight has no quantizer
        weight = tensor_at(self, layer.weight)
        quantizer = self._quantizer(self._setting.weights[output])
        if output not in self._setting.folds_first:
            return weight, quantizer.grid(on_cpu(weight))
        assert layer.norm is not None  # what folds has a batch norm
        factor = factor_and_offset(self.get_submodule(layer.norm), None)[0].detach().to("cpu")
        grid = quantizer.grid(on_cpu(weight) * broadcast(factor, weight.ndim, 0))
        # What a factor of zero hides has the code of zero, however large it is.
        hidden = torch.finfo(torch.float32).max
        scale = torch.where(factor == 0, hidden, grid.scale / factor).to(torch.float32)
        zero_point = grid.zero_point.expand_as(scale).clone()
        return weight, QParams(scale, zero_point, grid.type, axis=0)

    def _weight_grid(self, output: str, folded: Tensor) -> QParams | None:
        """The grid of a weight as the program has it, folded; None where nothing was trained."""
        if output not in self._setting.weights:
            return None
        layer = self._weights.layers[output]
        if layer.norm is None or output in self._setting.folds_first:
            return self._quantizer(self._setting.weights[output]).grid(folded)
        factor, _ = factor_and_offset(self.get_submodule(layer.norm), None, torch.float64)
        return _multiplied(self.weight_and_grid(output)[1], factor.to("cpu"))

    def _quantizer(self, key: str) -> FakeQuantizer:
        quantizer = self.get_submodule(key)
        assert isinstance(quantizer, FakeQuantizer)  # the setting names no other
        return quantizer

    def _simplified(self, captured: Graph) -> Graph:
        wide = any(isinstance(node.op, Requantize) for node in self.made.graph.nodes)
        return simplified(captured, self.made.target, for_training=True, wide_residuals=wide)


def _ends(layer: Layer) -> tuple[str, ...]:
    """What a shift of the layer's results would be taken from."""
    return tuple(name for name in (layer.norm, layer.bias) if name is not None)


def _finite(values: Iterable[Any]) -> bool:
    """True if no tensor among them holds NaN or infinity."""
    tensors = [x for x in values if isinstance(x, Tensor) and x.is_floating_point()]
    return all(bool(torch.isfinite(x).all()) for x in tensors)


def _in_type(value: Any, dtype: torch.dtype) -> Any:
    """A float tensor in another type; anything else as it is."""
    is_float = isinstance(value, Tensor) and value.is_floating_point()
    return value.to(dtype) if is_float else value


def _multiplied(grid: QParams, factor: Tensor) -> QParams:
    """The grid of a weight whose channels are multiplied: codes stay, up to their sign."""
    scale = grid.scale.to(torch.float64) * factor.abs()
    scale = torch.where(scale < SMALLEST_SCALE, 1.0, scale).to(torch.float32)
    zero_point = grid.zero_point.expand_as(scale).clone()
    return QParams(scale, zero_point, grid.type, axis=0)
