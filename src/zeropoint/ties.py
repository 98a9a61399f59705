"""Grids that are so nearly alike that one may stand for both.

    conv -> concat <- conv          a part of a concatenation that others read as well has a grid of
      `-> conv                      its own, and is requantized on its way

If the grid of the result loses at most FREE_DB more of the part than its own does, the part takes
it: that saves a pass over memory and a rounding. Where only the concatenation reads a part, it has
that grid anyway (assign.py).
"""

from collections.abc import Mapping

from zeropoint.arithmetic.qparams import QParams
from zeropoint.assign import Assignment, owner
from zeropoint.graph.graph import Graph
from zeropoint.observe.error import simulated_sqnr
from zeropoint.observe.observation import Observation
from zeropoint.ops.concat import Concat

FREE_DB = 0.5
"""A grid that is 6 % coarser costs as much."""


def ties(
    graph: Graph,
    assignment: Assignment,
    observations: Mapping[str, Observation],
    grids: Mapping[str, QParams],
) -> dict[str, str]:
    """Values that take the grid of another one, besides those that the assignment says."""
    found: dict[str, str] = {}
    for node in reversed(graph.nodes):  # a concatenation of concatenations first
        if not isinstance(node.op, Concat) or node.output not in assignment.integer:
            continue
        shared = {**assignment.shared, **found}
        to = owner(node.output, shared)
        for name in node.inputs:
            first = owner(name, shared)
            alike = assignment.own[first] == assignment.own[to]
            if first == to or first not in graph.producers or not alike:
                continue
            data = observations[first]
            loss = simulated_sqnr(data, grids[first]) - simulated_sqnr(data, grids[to])
            if not loss > FREE_DB:  # nor if both lose nothing
                found[first] = to
    return found
