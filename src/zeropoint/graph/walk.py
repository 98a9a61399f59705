"""Running a graph node by node, with a listener that sees each value once.

A value is dropped after its last use, so a walk needs the memory of the live values only.
Calibration, layer-error reports and evaluation are all this loop with another listener.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from zeropoint.graph.graph import Graph, Node

Listener = Callable[[str, Any], None]
"""Called with the name and the content of each value as it is written."""

Kernel = Callable[[Node, Sequence[Any]], Any]
"""Computes one node: a Tensor (or int), or a tuple with one for each output."""


def walk(
    graph: Graph,
    inputs: Sequence[torch.Tensor],
    *,
    listener: Listener | None = None,
    kernel: Kernel | None = None,
) -> tuple[Any, ...]:
    """The graph's outputs. `kernel` computes a node, by default with the operator's float form."""
    live: dict[str, Any] = dict(zip(graph.inputs, inputs, strict=True))
    if listener is not None:
        for name in graph.inputs:
            listener(name, live[name])
    advance(graph, live, 0, len(graph.nodes), listener=listener, kernel=kernel)
    return read(graph, graph.outputs, live)


def advance(
    graph: Graph,
    live: dict[str, Any],
    begin: int,
    end: int,
    *,
    listener: Listener | None = None,
    kernel: Kernel | None = None,
) -> None:
    """Run the nodes [begin, end) on the values that are live before them; `live` moves along.

    A copy of `live` taken in between is a place to go on from again, with another kernel.
    """
    compute = kernel or _float_form
    for node, spent in graph.last_uses[begin:end]:
        results = compute(node, read(graph, node.inputs, live))
        for name, result in zip(node.outputs, _as_tuple(results), strict=True):
            live[name] = result
            if listener is not None:
                listener(name, result)
        for name in spent:
            live.pop(name, None)


def read(graph: Graph, names: Sequence[str], live: Mapping[str, Any]) -> tuple[Any, ...]:
    """The contents of live values and constants."""
    return tuple(live[name] if name in live else graph.constants[name] for name in names)


def _float_form(node: Node, operands: Sequence[Any]) -> Any:
    return node.op.run(*operands)


def _as_tuple(results: Any) -> tuple[Any, ...]:
    return results if isinstance(results, tuple) else (results,)
