"""Float layers between integer ones: each costs two passes over its data, and rounding after it."""

from collections.abc import Iterator

from zeropoint.graph.graph import Node
from zeropoint.ops.title import title
from zeropoint.report.analysis.finding import Change, Finding
from zeropoint.report.checks.evidence import Case, Evidence

BY_RECIPE = "kept float by the recipe"


def island(case: Case) -> Iterator[Finding]:
    """Fences behind float nodes that read integers themselves, with the reasons."""
    for evidence in case.units:
        if not evidence.unit.is_fence or evidence.unit.node is None:
            continue
        nodes = _island(case, evidence.unit.node)
        if nodes and any(_reads_integers(case, node) for node in nodes):
            yield _finding(case, evidence, nodes)


def _finding(case: Case, evidence: Evidence, nodes: list[Node]) -> Finding:
    islands = case.simulation.program.islands
    by_recipe = [node for node in nodes if islands[node.output] == BY_RECIPE]
    reasons = sorted({f"{_spelled(node)} ({islands[node.output]})" for node in nodes})
    change, advice = None, "Replace it in the model by layers that run in integers, or accept it"
    if by_recipe:
        origin = by_recipe[-1].origin
        change = Change(origin.layer, origin, quantize=True)
        advice = f"Remove what keeps {origin.layer} float, if the accuracy allows"
    cost = "" if evidence.layer.gain_db is None else f", and {evidence.layer.gain_db:.2f} dB"
    return Finding(
        "island",
        evidence.layer.layer,
        evidence.layer.value,
        f"it runs in float between integer layers: {'; '.join(reasons)}",
        f"its data are turned into real numbers and back, which costs time{cost} by the rounding "
        "behind it",
        advice,
        change=change,
        own_gain_db=None,
        output_gain_db=None,
    )


def _island(case: Case, last: Node) -> list[Node]:
    """The float nodes that the value of `last` is computed by, up to where integers end."""
    graph, islands = case.simulation.graph, case.simulation.program.islands
    found: dict[str, Node] = {}
    waiting = [last]
    while waiting:
        node = waiting.pop()
        if node.output in found or node.output not in islands:
            continue
        found[node.output] = node
        waiting += [graph.producers[name] for name in node.inputs if name in graph.producers]
    return list(found.values())


def _reads_integers(case: Case, node: Node) -> bool:
    producers = case.simulation.graph.producers
    before = [producers[name] for name in node.inputs if name in producers]
    return any(case.simulation.runs_in_integers(writer) for writer in before)


def _spelled(node: Node) -> str:
    name = title(node.op)
    return f"{node.origin.layer}: {name}" if node.origin.layer else name
