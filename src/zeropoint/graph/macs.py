"""Multiply-accumulates of each node, counted by torch's own formulas while the graph runs once."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from zeropoint.graph.graph import Graph, Node
from zeropoint.graph.walk import walk


def count_macs(graph: Graph, inputs: Sequence[Tensor]) -> dict[str, int]:
    """Multiply-accumulates by the output of each node that has any."""
    macs: dict[str, int] = {}

    def counted(node: Node, operands: Sequence[Any]) -> Any:
        with FlopCounterMode(display=False) as counter:
            result = node.op.run(*operands)
        if counter.get_total_flops():
            macs[node.output] = counter.get_total_flops() // 2
        return result

    with torch.no_grad():
        walk(graph, inputs, kernel=counted)
    return macs
