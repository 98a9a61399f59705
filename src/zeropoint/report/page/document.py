"""Everything that the report shows, as JSON data: the page draws it, and `report.json` is it.

    {"zeropoint", "model", "engine", "created", "provenance",
     "comparison":  accuracy, flips, agreement, size, latency, coverage      (compare.py)
     "samples", "output_sqnr_db", "agreement"                                (analysis.py)
     "layers":      the error of each unit (analysis.py), its share of the multiply-accumulates,
                    and what its plots are drawn from                         (plot_data.py)
     "findings":    what to do                                               (finding.py)
     "costliest":   the layers that cost the outputs the most, each with what to do
     "graph":       the network as it is drawn                               (graph_layout.py)}

Numbers have five significant digits; infinite and unknown ones are null.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zeropoint.graph.graph import Graph, Node
from zeropoint.graph.op import IntegerOp, Role
from zeropoint.graph.value import Size
from zeropoint.model import QuantizedModel
from zeropoint.observe.observation import Observation
from zeropoint.ops.title import title
from zeropoint.plan import Own, Plan
from zeropoint.program.program import Program
from zeropoint.report.compare import Comparison
from zeropoint.report.page.graph_layout import layout
from zeropoint.report.page.plot_data import of_activations, of_weights
from zeropoint.simulation import Simulation
from zeropoint.version import VERSION

DIGITS = 5
"""Significant ones: more than any plot shows, and half the size of all."""

COSTLIEST = 3

NEGLIGIBLE_DB = 0.3
"""What costs the output less is not worth a float layer."""

Json = dict[str, Any]  # what json.dumps takes


@dataclass(frozen=True)
class Measured:
    """What a document is made of; `analysis` as its `to_dict` gives it."""

    comparison: Comparison
    analysis: Json
    observations: Mapping[str, Observation]
    simulation: Simulation


def build(measured: Measured, q: QuantizedModel, created: str) -> Json:
    """The document of a quantized model."""
    analysis = measured.analysis
    layers = _layers(measured, q.plan)
    document = {
        "zeropoint": VERSION,
        "model": q.program.provenance.model or "model",
        "engine": q.engine,
        "created": created,
        "provenance": q.provenance,
        "comparison": measured.comparison.to_dict(),
        "samples": analysis["samples"],
        "output_sqnr_db": analysis["output_sqnr_db"],
        "agreement": analysis["agreement"],
        "layers": layers,
        "findings": analysis["findings"],
        "costliest": costliest(layers, analysis["findings"]),
        "graph": drawn(measured.simulation.graph, q.program, layers),
    }
    cleaned: Json = rounded(document)
    return cleaned


def rounded(data: Any) -> Any:  # JSON data, to the same data
    """The data with numbers of DIGITS significant digits, and null for those that are infinite."""
    if isinstance(data, Mapping):
        return {str(key): rounded(item) for key, item in data.items()}
    if isinstance(data, (list, tuple)):
        return [rounded(item) for item in data]
    if isinstance(data, float):
        return float(f"{data:.{DIGITS}g}") if math.isfinite(data) else None
    return data


# --- layers ------------------------------------------------------------------------------------


def _layers(measured: Measured, plan: Plan) -> list[Json]:
    simulation = measured.simulation
    macs = simulation.program.provenance.macs
    total = sum(macs.values())
    layers = []
    for facts in measured.analysis["layers"]:
        value = facts["value"]
        node = simulation.graph.producers.get(value)
        layers.append(
            {
                **facts,
                "name": facts["layer"] or value,
                "module": node.origin.layer if node and facts["kind"] == "layer" else "",
                "macs": macs.get(value, 0),
                "share_of_macs": macs.get(value, 0) / total if total else 0.0,
                "activations": _activations(measured, plan, value),
                "weights": _weights(simulation, plan, node) if facts["kind"] == "layer" else None,
            }
        )
    return layers


def _activations(measured: Measured, plan: Plan, value: str) -> Json | None:
    observation = measured.observations.get(value)
    if observation is None or not observation.total:
        return None
    simulation = measured.simulation
    shape = simulation.graph.values[value].shape
    grid = simulation.grid(value)
    return of_activations(observation, grid, shape, _calibrator(plan, value)).to_dict()


def _weights(simulation: Simulation, plan: Plan, node: Node | None) -> Json | None:
    if node is None or not isinstance(node.op, IntegerOp):
        return None
    for name, role in zip(node.inputs, node.op.roles(len(node.inputs)), strict=True):
        if role is Role.WEIGHT:
            grid = simulation.program.graph.values[name].params
            assert grid is not None  # Program.verify says so
            weight = simulation.graph.constants[name]
            return of_weights(weight, grid, _calibrator(plan, name)).to_dict()
    return None


def _calibrator(plan: Plan, name: str) -> str:
    entry = plan.entries.get(name)
    return entry.calibrator if isinstance(entry, Own) else ""


# --- what costs the most -----------------------------------------------------------------------


def costliest(layers: Sequence[Json], findings: Sequence[Json]) -> list[Json]:
    """The layers without whose error the outputs would gain the most, each with what to do."""
    costs = [layer for layer in layers if (layer["gain_db"] or 0) > 0]
    costs.sort(key=lambda layer: layer["gain_db"], reverse=True)
    return [
        {
            "value": layer["value"],
            "name": layer["name"],
            "gain_db": layer["gain_db"],
            **_advice(layer, findings),
        }
        for layer in costs[:COSTLIEST]
    ]


def _advice(layer: Json, findings: Sequence[Json]) -> Json:
    """The first finding about the layer, which is the most rewarding; or the one way left."""
    for finding in findings:
        if finding["value"] == layer["value"]:
            return {key: finding[key] for key in ("finds", "what_to_do", "change")}
    what_to_do, change = _without_finding(layer)
    return {"finds": "no check finds a cause", "what_to_do": what_to_do, "change": change}


def _without_finding(layer: Json) -> tuple[str, str]:
    if layer["gain_db"] < NEGLIGIBLE_DB:
        return "leave it: that is next to nothing", ""
    if not layer["module"]:  # an override names a module
        return "leave it: that is what its bits cost", ""
    return (
        "leave it, or keep it float if the accuracy is not enough",
        f"overrides={{{layer['module']!r}: None}}",
    )


# --- the drawing -------------------------------------------------------------------------------


def drawn(graph: Graph, program: Program, layers: Sequence[Json]) -> Json:
    """The float graph as nodes and edges with their places; sizes are left out."""
    units = {layer["value"] for layer in layers}
    nodes = [node for node in graph.nodes if not _is_size(graph, node)]
    names = dict.fromkeys([*graph.inputs, *(node.output for node in nodes)])
    edges = [
        (above, node.output)
        for node in nodes
        for above in dict.fromkeys(_source(graph, name) for name in node.inputs)
        if above in names
    ]
    drawing = layout(list(names), edges)
    boxes = [_input_box(name, units) for name in graph.inputs]
    boxes += [_box(graph, program, node, units) for node in nodes]
    for box in boxes:
        box["x"], box["y"] = drawing.places[box["id"]]
    return {
        "nodes": boxes,
        "edges": [list(map(list, route)) for route in drawing.routes],
        "width": drawing.width,
        "rows": drawing.rows,
    }


def _is_size(graph: Graph, node: Node) -> bool:
    return isinstance(graph.values[node.output].type, Size)


def _source(graph: Graph, name: str) -> str:
    """The box that a value comes out of."""
    producer = graph.producers.get(name)
    return name if producer is None else producer.output


def _input_box(name: str, units: set[str]) -> Json:
    value = name if name in units else None
    return {"id": name, "name": name, "operator": "input", "value": value, "kind": "input"}


def _box(graph: Graph, program: Program, node: Node, units: set[str]) -> Json:
    reason = program.islands.get(node.output, "")
    is_output = any(name in graph.outputs for name in node.outputs)
    return {
        "id": node.output,
        "name": node.origin.layer or node.output,
        "operator": title(node.op),
        "value": next((name for name in node.outputs if name in units), None),
        "kind": "float" if reason else "integer",
        "reason": reason,
        "output": is_output,
    }
