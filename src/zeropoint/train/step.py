"""One node of the graph in training: its float form between grids.

operands    what integers read of float values, such as the image, is put on its grid once
weights     fake quantized, then the layer, the batch norm, the addend, the clamp
result      fake quantized where the program narrows it
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from zeropoint.graph.graph import Graph, Node
from zeropoint.graph.op import IntegerOp, Op, Role
from zeropoint.ops.accumulate import clamp_real
from zeropoint.ops.add import Add
from zeropoint.ops.batch_norm import BatchNorm
from zeropoint.ops.conv import Convolution
from zeropoint.ops.dropout import Dropout
from zeropoint.ops.epilogue import Bounds
from zeropoint.ops.functions import Steps, evaluate
from zeropoint.ops.linear import Linear
from zeropoint.train.batch_norm import factor_and_offset
from zeropoint.train.layers import Layer
from zeropoint.train.method import FakeQuantizer
from zeropoint.train.tensors import tensor_at

Live = dict[str, Any]
"""The values that later nodes read, by name; tensors, and ints for sizes."""

ON_GRID = " on its grid"
"""Behind the name of a float value: what integers read of it."""


@dataclass(frozen=True)
class Setting:
    """What all steps of a module share, by the names of the graph's values.

    `grids` and `weights` name fake quantizers; a grid belongs to a value that an integer node
    writes, or to a fence, a float value that an integer node reads. `constants` names the user's
    tensors. `folds_first` names the nodes whose weights are quantized after the batch norm's
    factor, not before.
    """

    graph: Graph
    integer: frozenset[str]
    grids: Mapping[str, str]
    fences: frozenset[str]
    weights: Mapping[str, str]
    layers: Mapping[str, Layer]
    constants: Mapping[str, str]
    folds_first: frozenset[str]


class Step:
    """Runs one node on live values."""

    def __init__(self, setting: Setting, node: Node, spent: tuple[str, ...]) -> None:
        self.node = node
        self.spent = (*spent, *(name + ON_GRID for name in spent if name in setting.fences))
        self._setting = setting
        self._is_integer = node.output in setting.integer
        self._layer = setting.layers.get(node.output)
        self._folds_first = node.output in setting.folds_first
        self._grid = setting.grids.get(node.output) if self._is_integer else None
        self._plain, self._function, self._bounds = _taken_apart(node.op)

    def run(self, root: nn.Module, live: Live) -> None:
        """Compute the node, and write its results."""
        results = self._compute(root, live)
        if not isinstance(results, tuple):
            results = (results,)
        live.update(zip(self.node.outputs, results, strict=True))
        for name in self.spent:
            live.pop(name, None)

    def _compute(self, root: nn.Module, live: Live) -> Any:
        op = self.node.op
        if isinstance(op, Dropout):
            return self._dropped(root, op, self._operands(root, live)[0])
        if isinstance(op, BatchNorm):
            return self._normalized(root, live)
        if self._layer is not None:
            return self._narrowed(root, self._through_layer(root, self._layer, live))
        if self._grid is None:
            return op.run(*self._operands(root, live))
        return self._narrowed(root, self._plain.run(*self._operands(root, live)))

    # --- operands --------------------------------------------------------------------------------

    def _operands(self, root: nn.Module, live: Live) -> list[Any]:
        return [self._operand(root, live, name) for name in self.node.inputs]

    def _operand(self, root: nn.Module, live: Live, name: str) -> Any:
        setting = self._setting
        if name in setting.graph.constants:
            own = setting.constants.get(name)
            real = _constant(setting, root, name) if own is None else tensor_at(root, own)
        else:
            real = live[name]
        if not self._is_integer or name not in setting.fences:
            return real
        key = name + ON_GRID
        if key not in live:
            live[key] = _quantizer(root, setting.grids[name])(real)
        return live[key]

    # --- results ---------------------------------------------------------------------------------

    def _narrowed(self, root: nn.Module, y: Tensor) -> Tensor:
        if self._function:
            y = evaluate(self._function, y)
        low, high = self._bounds
        if self._grid is None:
            return clamp_real(y, low, high)
        quantizer = _quantizer(root, self._grid)
        after_relu = low == 0.0 and high is None and quantizer.covers_relu
        y = y if after_relu else _clamped(y, low, high)
        narrowed: Tensor = quantizer(y, after_relu=after_relu)
        return narrowed

    # --- layers ----------------------------------------------------------------------------------

    def _through_layer(self, root: nn.Module, layer: Layer, live: Live) -> Tensor:
        y: Tensor
        x, addends = self._activations(root, live)
        weight = None if layer.weight is None else tensor_at(root, layer.weight)
        bias = None if layer.bias is None else tensor_at(root, layer.bias)
        if layer.norm is None:
            assert weight is not None  # a layer has a weight or a norm
            y = self._plain.run(x, self._on_grid(root, weight), bias)
        else:
            norm = root.get_submodule(layer.norm)
            y = self._through_norm(root, norm, x, weight, bias)
        for addend in addends:
            y = y + addend
        return y

    def _activations(self, root: nn.Module, live: Live) -> tuple[Any, list[Any]]:
        assert isinstance(self.node.op, IntegerOp)  # layers are
        roles = self.node.op.roles(len(self.node.inputs))
        x, *addends = (
            self._operand(root, live, name)
            for name, role in zip(self.node.inputs, roles, strict=True)
            if role is Role.ACTIVATION
        )
        return x, addends

    def _through_norm(
        self,
        root: nn.Module,
        norm: nn.Module,
        x: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
    ) -> Tensor:
        live = norm.training
        if weight is None:
            return _normed(norm, x) if live else _affine(x, *factor_and_offset(norm, None))
        if live and not self._folds_first:
            return self._by_channel(
                self._plain.run(x, self._on_grid(root, weight), bias), partial(_normed, norm)
            )
        factor, offset = factor_and_offset(norm, bias)
        rows = factor.reshape(-1, *[1] * (weight.ndim - 1))
        if self._folds_first:
            folded = self._on_grid(root, weight * rows)
        else:
            folded = self._on_grid(root, weight) * rows
        y: Tensor = self._plain.run(x, folded, None if live else offset)
        if not live:
            return y
        along = torch.where(factor == 0, 1.0, factor).reciprocal()
        back = torch.zeros_like(along) if bias is None else bias
        return self._by_channel(y, lambda rows: _normed(norm, _affine(rows, along, back)))

    def _by_channel(self, y: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
        """A function of the layer's result that wants the channels along axis 1."""
        if isinstance(self._plain, Linear) and y.ndim > 2:
            return function(y.flatten(0, -2)).reshape(y.shape)
        return function(y)

    def _on_grid(self, root: nn.Module, weight: Tensor) -> Tensor:
        key = self._setting.weights.get(self.node.output)
        return weight if key is None else _quantizer(root, key)(weight)

    # --- what only training does -----------------------------------------------------------------

    def _dropped(self, root: nn.Module, op: Dropout, x: Tensor) -> Tensor:
        """Dropout by the user's own module, whose p and mode may change; else by the graph's.

        A functional one is in the mode of the module that calls it.
        """
        module = _module(root, self.node.origin.layer) or root
        if isinstance(module, nn.modules.dropout._DropoutNd):
            return _called(module, x)
        drop = torch.feature_dropout if op.channels else torch.dropout
        return drop(x, op.p, train=module.training)

    def _normalized(self, root: nn.Module, live: Live) -> Tensor:
        """A batch norm that stays float, by the user's own module."""
        operands = self._operands(root, live)
        module = _module(root, self.node.origin.layer)
        is_norm = isinstance(module, nn.modules.batchnorm._BatchNorm)
        y: Tensor = (
            module.forward(operands[0]) if is_norm and module else self.node.op.run(*operands)
        )
        return y


def _constant(setting: Setting, root: nn.Module, name: str) -> Tensor:
    """A number that the model's code holds, where the module is, and in its dtype."""
    constant, like = setting.graph.constants[name], next(root.parameters())
    return constant.to(like if constant.is_floating_point() else like.device)


def _called(module: nn.Module, x: Tensor) -> Tensor:
    y: Tensor = module.forward(x)  # not its hooks: what they do is in the graph
    return y


DIMENSIONS = ((nn.BatchNorm1d, 3), (nn.BatchNorm2d, 4), (nn.BatchNorm3d, 5))


def _normed(norm: nn.Module, x: Tensor) -> Tensor:
    """The batch norm of (N, C, ...), which a reshape in between may have given to it as rows."""
    rank = next((rank for kind, rank in DIMENSIONS if isinstance(norm, kind)), x.ndim)
    if x.ndim == rank or (x.ndim == 2 and rank == 3):
        return _called(norm, x)
    return _called(norm, x.reshape(*x.shape[:2], -1, *[1] * (rank - 3))).reshape(x.shape)


def quantizer_key(name: str) -> str:
    """A value's name as the name of a module, which may hold no dot."""
    return name.replace(".", "/")


def _quantizer(root: nn.Module, key: str) -> FakeQuantizer:
    quantizer = root.get_submodule(key)
    assert isinstance(quantizer, FakeQuantizer)  # Setting names no other
    return quantizer


def _module(root: nn.Module, path: str) -> nn.Module | None:
    try:
        return root.get_submodule(path)
    except AttributeError:
        return None


def _affine(x: Tensor, factor: Tensor, offset: Tensor) -> Tensor:
    """Factor x + offset along the channels, axis 1.

    Written as a batch norm of mean 0 and deviation 1: several times faster than addcmul.
    """
    mean, deviation = torch.zeros_like(factor), torch.ones_like(factor)
    return nn.functional.batch_norm(x, mean, deviation, factor, offset, training=False, eps=0.0)


def _taken_apart(op: Op) -> tuple[Op, Steps, Bounds]:
    """The operator alone, and what follows it: a function and bounds."""
    if isinstance(op, (Convolution, Linear)):
        return replace(op, low=None, high=None, function=()), op.function, (op.low, op.high)
    if isinstance(op, Add):
        return replace(op, low=None, high=None), (), (op.low, op.high)
    return op, (), (None, None)


def _clamped(y: Tensor, low: float | None, high: float | None) -> Tensor:
    """A clamp that leaves y as it is: the fake quantizer behind it keeps what it needs itself."""
    if low is None and high is None:
        return y
    if low is not None and high is not None:  # as ReLU6: no gradient at the bounds themselves
        return nn.functional.hardtanh(y, low, high)
    return y.relu() if (low, high) == (0.0, None) else y.clamp(low, high)
