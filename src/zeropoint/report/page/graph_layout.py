"""Where the nodes of a network are drawn: data flow downwards, branches stand side by side.

    1. rank    a node stands one row below the lowest node that it reads
    2. route   an edge that skips rows passes through a waypoint in each of them
    3. order   sweeps down and up sort each row by the mean place of its neighbours
    4. place   x of least squares to the neighbours, with everything in a row a gap apart

After Sugiyama, Tagawa and Toda, *Methods for Visual Understanding of Hierarchical System
Structures*, 1981. Step 4 is isotonic regression, solved exactly by pooling adjacent violators.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

NODE_GAP = 1.12
"""Between the middles of two neighbours in a row, in widths of a node."""

WAYPOINT_GAP = 0.62
"""The same where one of them is an edge that passes through."""

MAIN, SIDE, THROUGH = 1e4, 1.0, 10.0
"""How much an edge wants to be straight: from a node's lowest operands, from its others,
between waypoints."""

SWEEPS = 8

Edge = tuple[str, str]
Point = tuple[float, float]


@dataclass(frozen=True)
class Drawing:
    """The middle of each node, and the points of each edge: x in widths of a node, y in rows."""

    places: Mapping[str, Point]
    routes: Sequence[Sequence[Point]]
    width: float
    rows: int


@dataclass(frozen=True)
class _Step:
    """A part of an edge between two rows that follow each other."""

    above: str
    below: str
    weight: float


def layout(nodes: Sequence[str], edges: Sequence[Edge]) -> Drawing:
    """The drawing of an acyclic graph; `nodes` are in an order in which data flow."""
    rank = _ranks(nodes, edges)
    chains = _chains(edges, rank)
    rows = _rows(nodes, chains, rank)
    steps = _steps(chains, rank)
    rows = _ordered(rows, steps)
    waypoints = {name for chain in chains for name in chain[1:-1]}
    x = _placed(rows, steps, waypoints)
    half = {name: 0.0 if name in waypoints else 0.5 for name in x}
    left = min((x[name] - half[name] for name in x), default=0.0)
    row_of = {name: y for y, row in enumerate(rows) for name in row}
    points = {name: (round(x[name] - left, 3), float(row_of[name])) for name in x}
    return Drawing(
        places={name: points[name] for name in nodes},
        routes=[[points[name] for name in chain] for chain in chains],
        width=max((points[name][0] + half[name] for name in points), default=0.0),
        rows=len(rows),
    )


def _ranks(nodes: Sequence[str], edges: Sequence[Edge]) -> dict[str, int]:
    """The longest path to each node; what nothing writes stands right above its first reader."""
    reads: dict[str, list[str]] = {name: [] for name in nodes}
    readers: dict[str, list[str]] = {name: [] for name in nodes}
    for above, below in edges:
        reads[below].append(above)
        readers[above].append(below)
    rank: dict[str, int] = {}
    for name in nodes:
        rank[name] = max((rank[above] + 1 for above in reads[name]), default=0)
    for name in nodes:
        if not reads[name] and readers[name]:
            rank[name] = min(rank[below] for below in readers[name]) - 1
    return rank


def _chains(edges: Sequence[Edge], rank: Mapping[str, int]) -> list[list[str]]:
    """Each edge as the names that it passes, a waypoint for each row between its ends."""
    return [
        [above, *(f"{index}@{row}" for row in range(rank[above] + 1, rank[below])), below]
        for index, (above, below) in enumerate(edges)
    ]


def _rows(
    nodes: Sequence[str], chains: Sequence[Sequence[str]], rank: Mapping[str, int]
) -> list[list[str]]:
    rows: list[list[str]] = [[] for _ in range(max(rank.values(), default=-1) + 1)]
    for name in nodes:
        rows[rank[name]].append(name)
    for chain in chains:
        for distance, waypoint in enumerate(chain[1:-1], start=1):
            rows[rank[chain[0]] + distance].append(waypoint)
    return rows


def _steps(chains: Sequence[Sequence[str]], rank: Mapping[str, int]) -> list[_Step]:
    lowest: dict[str, int] = {}
    for chain in chains:
        lowest[chain[-1]] = max(lowest.get(chain[-1], 0), rank[chain[0]])
    steps = []
    for chain in chains:
        own = MAIN if rank[chain[0]] == lowest[chain[-1]] else SIDE
        ends = (0, len(chain) - 2)
        for index, (upper, lower) in enumerate(pairwise(chain)):
            steps.append(_Step(upper, lower, own if index in ends else THROUGH))
    return steps


Neighbours = Mapping[str, Sequence[tuple[str, float]]]


def _neighbours(steps: Sequence[_Step]) -> tuple[Neighbours, Neighbours]:
    """Of each name: what stands above it, what below, and how much that matters."""
    above: dict[str, list[tuple[str, float]]] = {}
    below: dict[str, list[tuple[str, float]]] = {}
    for step in steps:
        above.setdefault(step.below, []).append((step.above, step.weight))
        below.setdefault(step.above, []).append((step.below, step.weight))
    return above, below


def _mean(neighbours: Sequence[tuple[str, float]], x: Mapping[str, float], own: float) -> float:
    total = sum(weight for _, weight in neighbours)
    return sum(x[name] * weight for name, weight in neighbours) / total if total else own


def _ordered(rows: list[list[str]], steps: Sequence[_Step]) -> list[list[str]]:
    above, below = _neighbours(steps)
    for sweep in range(SWEEPS):
        nearer, sequence = (above, rows) if sweep % 2 == 0 else (below, rows[::-1])
        for row in sequence:
            place = {name: float(i) for other in rows for i, name in enumerate(other)}
            row.sort(key=lambda name: _mean(nearer.get(name, ()), place, place[name]))
    return rows


def _placed(
    rows: Sequence[Sequence[str]], steps: Sequence[_Step], waypoints: set[str]
) -> dict[str, float]:
    above, below = _neighbours(steps)
    x: dict[str, float] = {}
    for row in rows:
        offsets = _offsets(row, waypoints)
        x.update(zip(row, (offset - offsets[-1] / 2 for offset in offsets), strict=True))
    for sweep in range(2 * SWEEPS):
        nearer, sequence = (above, rows) if sweep % 2 == 0 else (below, rows[::-1])
        for row in sequence:
            wanted = [_mean(nearer.get(name, ()), x, x[name]) for name in row]
            weights = [sum(weight for _, weight in nearer.get(name, ())) or SIDE for name in row]
            x.update(zip(row, _apart(wanted, weights, _offsets(row, waypoints)), strict=True))
    return x


def _offsets(row: Sequence[str], waypoints: set[str]) -> list[float]:
    """Where each of a row would stand if all stood as close together as they may."""
    offsets = [0.0]
    for left, right in pairwise(row):
        narrow = left in waypoints or right in waypoints
        offsets.append(offsets[-1] + (WAYPOINT_GAP if narrow else NODE_GAP))
    return offsets


def _apart(
    wanted: Sequence[float], weights: Sequence[float], offsets: Sequence[float]
) -> list[float]:
    """The places nearest to the wanted ones, in order and at least the gaps apart."""
    pools: list[tuple[float, float, int]] = []  # mean, weight, how many
    for want, weight, offset in zip(wanted, weights, offsets, strict=True):
        mean, total, count = want - offset, weight, 1
        while pools and pools[-1][0] > mean:
            before, heavy, many = pools.pop()
            mean = (before * heavy + mean * total) / (heavy + total)
            total, count = heavy + total, many + count
        pools.append((mean, total, count))
    level = [mean for mean, _, count in pools for _ in range(count)]
    return [mean + offset for mean, offset in zip(level, offsets, strict=True)]
