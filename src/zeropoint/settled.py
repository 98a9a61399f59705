"""A captured network whose batch norms have the statistics of the data, where theirs are others.

A network that was not trained, or hardly, has running means of 0 and variances of 1. In training it
normalizes by each batch, and its activations are of another size by orders of magnitude: grids that
are calibrated by running statistics would clip all of them. Where the running statistics are those
of the data the network stays as it is.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from zeropoint.batches import Inputs
from zeropoint.graph.graph import Graph, Node
from zeropoint.graph.walk import walk
from zeropoint.ops.batch_norm import BatchNorm

FAR = 4.0
"""How many times the mean square of what a norm gives may lie from 1, in its median channel."""

FEWEST = 16
"""Numbers of a channel in a batch, below which its statistics say nothing."""


def settled(graph: Graph, batches: Iterable[Inputs], norms: Collection[str]) -> Graph:
    """The graph, with measured statistics in all norms of these paths if one of them is far off."""
    found = [node for node in graph.nodes if _path(node) in norms]
    if not found:
        return graph
    measured = _Measured(graph, {node.output for node in found})
    with torch.no_grad():
        for inputs in batches:
            walk(graph, list(inputs), kernel=measured.compute)
    if not any(measured.is_far(node) for node in found):
        return graph
    return replace(graph, constants={**graph.constants, **measured.statistics(found)})


def _path(node: Node) -> str | None:
    """The batch norm that a node is; None for other nodes."""
    return node.inputs[4].removesuffix(".running_var") if isinstance(node.op, BatchNorm) else None


@dataclass
class _Measured:
    """The means and variances of batches, by the names of what the norms give."""

    graph: Graph
    norms: Collection[str]
    moments: dict[str, list[Tensor]] = field(default_factory=dict)

    def compute(self, node: Node, operands: Sequence[Any]) -> Any:
        """A node's float form; a norm normalizes by the batch."""
        if node.output not in self.norms:
            return node.op.run(*operands)
        x, gamma, beta, mean, var = operands
        if x.numel() // x.shape[1] >= FEWEST:
            axes = [axis for axis in range(x.ndim) if axis != 1]
            mean, var = x.mean(axes), x.var(axes, unbiased=False)
            self.moments.setdefault(node.output, []).append(torch.stack([mean, var]))
        return node.op.run(x, gamma, beta, mean, var)

    def is_far(self, node: Node) -> bool:
        """True if the norm, by its running statistics, gives numbers of another size than 1."""
        if node.output not in self.moments:
            return False
        mean, var = self._mean(node)
        own_mean, own_var = (self.graph.constants[name] for name in node.inputs[3:5])
        square = (var + (mean - own_mean).square()) / (own_var + node.op.eps)  # type: ignore[attr-defined]  # a BatchNorm
        middle = float(square.median())
        return not 1 / FAR <= middle <= FAR

    def statistics(self, nodes: Iterable[Node]) -> Mapping[str, Tensor]:
        """Running means and variances for the norms that were measured, by name."""
        constants = {}
        for node in nodes:
            if node.output in self.moments:
                constants[node.inputs[3]], constants[node.inputs[4]] = self._mean(node)
        return constants

    def _mean(self, node: Node) -> tuple[Tensor, Tensor]:
        mean, var = torch.stack(self.moments[node.output]).mean(0)
        return mean, var
