"""Weights rounded one after the other, each making up for the errors of those before.

    q_k = Q(w_k)        w_j <- w_j - (w_k - q_k) U_kj / U_kk   for j > k        U^T U = H^-1

H is the covariance of what the weights w of a channel are multiplied with: images are smooth and
channels alike, so that one weight can say part of what another no longer says. The mean is left to
the bias (bias_correction.py), which takes it off for nothing; without it H is E[x x^T].

GPTQ: Frantar et al., arXiv:2210.17323, algorithm 1, in blocks of inputs. A weight is rounded up or
down, never further: what float32 says and what runs lie within one step.

Requires: the moments of what layers read, from some of the places where their windows lie.
Ensures: constants of layers that run in integers change, each to a point of its grid.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from zeropoint.arithmetic.bounds import saturating_pairs
from zeropoint.arithmetic.qparams import QParams, broadcast, dequantize, quantize
from zeropoint.distributed import summed, total
from zeropoint.graph.graph import Graph, Node
from zeropoint.ops.conv import Conv
from zeropoint.ops.linear import Linear
from zeropoint.plan import Plan
from zeropoint.recipe import Recipe

INPUTS = 128
"""At most, in a block: errors are made up for within it. Of whole channels, if one has fewer."""

PLACES, PLACES_IN_IMAGE = 4096, 64
"""How many windows of a layer are looked at."""

DAMPING = 0.01
"""Of the mean variance, added to each: what was not seen is not trusted."""

FLOOR = 2.0**-16
"""Of the mean square, added likewise: what float32 leaves of the variance of a constant."""

LAZY = 32
"""Inputs whose errors reach the rest of their block together."""


class Moments:
    """Sums of x (M, B) and of x x^T (M, B, B) over windows, for each of M blocks of B inputs.

    A block is so many channels of one group; the last one of a group is filled up with zeros.
    """

    def __init__(self, weight: Tensor, groups: int) -> None:
        channels, taps = weight.shape[1], weight[0, 0].numel()
        blocks = min(math.ceil(channels * taps / INPUTS), channels)
        size = math.ceil(channels / blocks) * taps
        self._groups, self._inputs, self._size = groups, channels * taps, size
        self._fill = (0, -self._inputs % size)
        self.count = 0
        self.sums = torch.zeros(groups * math.ceil(self._inputs / size), size)
        self.products = torch.zeros(*self.sums.shape, size)

    def add(self, windows: Tensor) -> None:
        """Windows (P, C, ...)."""
        self.count += len(windows)
        filled = F.pad(windows.reshape(-1, self._groups, self._inputs), self._fill)
        x = filled.reshape(len(windows), -1, self._size).transpose(0, 1).contiguous()
        self.sums += x.sum(1)
        self.products.baddbmm_(x.mT, x)

    def add_other_processes(self) -> None:
        """What all processes have seen, the same in each."""
        self.count = total(self.count)
        self.sums, self.products = summed(self.sums), summed(self.products)

    def covariance(self, *, centred: bool) -> Tensor:
        """(M, B, B), float64: the less windows were seen, the nearer to its diagonal."""
        found = self.products.to(torch.float64) / self.count
        floor = FLOOR * found.diagonal(dim1=1, dim2=2).mean(1)
        if centred:
            mean = self.sums.to(torch.float64) / self.count
            found -= mean[:, :, None] * mean[:, None, :]
        known = self.count / (self.count + self._size)
        variance = torch.diag_embed(found.diagonal(dim1=1, dim2=2))
        least = floor.clamp(min=torch.finfo(torch.float32).tiny)[:, None, None]
        return known * found + (1 - known) * variance + least * torch.eye(self._size)

    def split(self, weight: Tensor) -> Tensor:
        """A weight (O, C / groups, ...) in blocks (M, B, O / groups)."""
        filled = F.pad(weight.reshape(self._groups, -1, self._inputs), self._fill)
        blocks = filled.reshape(self._groups, filled.shape[1], -1, self._size)
        return blocks.permute(0, 2, 3, 1).flatten(0, 1).contiguous()

    def join(self, blocks: Tensor) -> Tensor:
        """What was split, as rows (O, K)."""
        parts = blocks.reshape(self._groups, -1, *blocks.shape[1:]).permute(0, 3, 1, 2)
        return parts.flatten(2)[:, :, : self._inputs].flatten(0, 1)


class Collector:
    """The moments of every layer that can be rounded in this way, from the values of a graph."""

    def __init__(self, graph: Graph, recipe: Recipe) -> None:
        self._moments: dict[str, Moments] = {}
        self._layers: dict[str, list[Node]] = {}
        self._draw = torch.Generator().manual_seed(0)
        for node in graph.nodes:
            asked = recipe.for_layer(node.origin)
            if asked is not None and asked.gptq and _is_alone(graph, node):
                weight = graph.constants[node.inputs[1]]
                groups = node.op.groups if isinstance(node.op, Conv) else 1
                self._moments[node.output] = Moments(weight, groups)
                self._layers.setdefault(node.inputs[0], []).append(node)
        self._kernels = {
            node.output: tuple(graph.constants[node.inputs[1]].shape[2:])
            for nodes in self._layers.values()
            for node in nodes
        }

    def listen(self, name: str, x: Tensor) -> None:
        """The value of that name, of another batch."""
        for node in self._layers.get(name, ()):
            moments = self._moments[node.output]
            left = PLACES - moments.count
            if left > 0:
                moments.add(self._windows(node, x, min(left, PLACES_IN_IMAGE * len(x))))

    def of_all_processes(self) -> Mapping[str, Moments]:
        """The moments by what the layers write, the same in each process."""
        for moments in self._moments.values():
            moments.add_other_processes()
        return self._moments

    def _windows(self, node: Node, x: Tensor, most: int) -> Tensor:
        """At most so many of what the layer's weights are multiplied with: (P, C, ...)."""
        if isinstance(node.op, Linear):
            rows = x.reshape(-1, x.shape[-1])
            return rows[self._some(len(rows), most)]
        assert isinstance(node.op, Conv)  # the collector keeps only these
        windows = windows_of(x, node.op, self._kernels[node.output])
        rank = len(node.op.stride) + 1
        chosen = self._some(windows.shape[:rank].numel(), most)
        return windows[torch.unravel_index(chosen, windows.shape[:rank])]

    def _some(self, count: int, most: int) -> Tensor:
        if count <= most:
            return torch.arange(count)
        return torch.randint(count, (most,), generator=self._draw)


def windows_of(x: Tensor, op: Conv, kernel: Sequence[int]) -> Tensor:
    """A view (N, ..., C, k, ...) of what each result of a convolution is a product of."""
    around = [amount for amount in reversed(op.padding) for _ in range(2)]
    padded = F.pad(x, around)
    spans = [d * (k - 1) + 1 for d, k in zip(op.dilation, kernel, strict=True)]
    counts = [
        (size - span) // step + 1
        for size, span, step in zip(padded.shape[2:], spans, op.stride, strict=True)
    ]
    images, channels, *strides = padded.stride()
    moves = [move * step for move, step in zip(strides, op.stride, strict=True)]
    taps = [move * step for move, step in zip(strides, op.dilation, strict=True)]
    return padded.as_strided(
        (len(x), *counts, padded.shape[1], *kernel), (images, *moves, channels, *taps)
    )


def _is_alone(graph: Graph, node: Node) -> bool:
    """True for a layer that is the only reader of its weight."""
    if not isinstance(node.op, (Conv, Linear)):
        return False
    weight = node.inputs[1]
    return weight in graph.constants and len(graph.users[weight]) == 1


def round_weights(
    graph: Graph, plan: Plan, moments: Mapping[str, Moments], recipe: Recipe
) -> Graph:
    """The float graph with the weights of those layers on points of their grids."""
    constants = dict(graph.constants)
    for node in graph.nodes:
        seen, name = moments.get(node.output), node.inputs[1] if len(node.inputs) > 1 else ""
        if seen is None or not seen.count or name not in plan.entries:
            continue  # it stays float, or nothing was seen of it
        asked = recipe.for_layer(node.origin)
        weight, grid = constants[name].detach(), plan.entries[name].params
        centred = asked is not None and asked.bias_correction
        codes = compensated(weight, grid, seen, centred=centred)
        highest = plan.entries[node.inputs[0]].params.high
        codes = _without_new_pairs(codes, quantize(weight, grid), highest)
        constants[name] = dequantize(codes, grid).to(weight.dtype)
    return replace(graph, constants=constants)


def compensated(weight: Tensor, grid: QParams, moments: Moments, *, centred: bool) -> Tensor:
    """The codes of a weight (O, C / groups, ...), in the grid's storage type."""
    scale = broadcast(grid.scale.to(torch.float64), weight.ndim, grid.axis)
    zero = broadcast(grid.zero_point.to(torch.float64), weight.ndim, grid.axis)
    # A row's scale is one for all its inputs, so the errors may be counted in steps.
    steps = (weight.to(torch.float64) / scale + zero).to(torch.float32)
    lowest = steps.floor().clamp(grid.low, grid.high - 1)
    factor = _factor(moments.covariance(centred=centred))
    codes = _rounded(moments.split(steps), moments.split(lowest), factor)
    joined = moments.join(codes).reshape(weight.shape)
    return joined.to(grid.type.storage)


def _factor(covariance: Tensor) -> Tensor:
    """U_kj / U_kk (M, B, B)."""
    variance = covariance.diagonal(dim1=1, dim2=2)
    damping = DAMPING * variance.mean(1, keepdim=True)
    damped = covariance + torch.diag_embed(damping.expand_as(variance))
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(damped))
    upper: Tensor = torch.linalg.cholesky(inverse, upper=True)
    ratio = upper / upper.diagonal(dim1=1, dim2=2)[:, :, None]
    return ratio.to(torch.float32)


def _rounded(steps: Tensor, lowest: Tensor, factor: Tensor) -> Tensor:
    """The codes of (M, B, O) steps, each `lowest` or one more, input by input."""
    codes, inputs = torch.empty_like(steps), steps.shape[1]
    for start in range(0, inputs, LAZY):
        stop = min(start + LAZY, inputs)
        for k in range(start, stop):
            code = codes[:, k] = steps[:, k].round().clamp_(lowest[:, k], lowest[:, k] + 1)
            error = steps[:, k].sub_(code)[:, None]
            steps[:, k + 1 : stop].baddbmm_(factor[:, k, k + 1 : stop, None], error, alpha=-1)
        steps[:, stop:].baddbmm_(factor[:, start:stop, stop:].mT, steps[:, start:stop], alpha=-1)
    return codes


def _without_new_pairs(codes: Tensor, nearest: Tensor, highest: int) -> Tensor:
    """The codes, but the nearest in channels that only now would leave 16 bits in pairs."""
    new, old = (
        saturating_pairs(q.reshape(len(q), -1).to(torch.float64), highest) for q in (codes, nearest)
    )
    return torch.where((new & ~old).view(-1, *[1] * (codes.ndim - 1)), nearest, codes)
