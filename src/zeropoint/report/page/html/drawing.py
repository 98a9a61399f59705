"""The network's drawing in pixels: boxes with a name and a number, edges as smooth curves."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from zeropoint.report.page.html.grades import effect_grade, sqnr_grade
from zeropoint.report.page.html.words import bare, decibels, gain, sentence

Json = Mapping[str, Any]  # a part of the document

BOX = (196, 25)
ROW = 46
MARGIN = 16
LETTERS_BESIDE_A_NUMBER, LETTERS = 19, 25
"""The longest names that a box holds."""

PASSIVE = "passive"


def drawing(graph: Json, layers: Sequence[Json]) -> dict[str, Any]:
    """The size of the drawing, its edges as SVG paths, its boxes."""
    units = {layer["value"]: layer for layer in layers}
    return {
        "width": round(graph["width"] * BOX[0]) + 2 * MARGIN,
        "height": (graph["rows"] - 1) * ROW + BOX[1] + 2 * MARGIN,
        "edges": [_path(route) for route in graph["edges"]],
        "nodes": [_node(box, units.get(box["value"] or "")) for box in graph["nodes"]],
    }


def _node(box: Json, unit: Json | None) -> dict[str, Any]:
    width, height = BOX
    x, y = _middle(box["x"], box["y"])
    common = {
        "x": round(x - width / 2, 1),
        "y": round(y - height / 2, 1),
        "width": width,
        "height": height,
        "value": None,
        "style": box["kind"] if unit else f"{PASSIVE} {box['kind']}",
        "title": _title(box),
    }
    if unit is None:
        text = box["name"] if box["name"] == box["operator"] else f"{box['name']} {box['operator']}"
        return {**common, "name": _shortened(text, LETTERS)}
    return {
        **common,
        "value": unit["value"],
        "name": _shortened(box["name"], LETTERS_BESIDE_A_NUMBER),
        "grades": {
            "sqnr": sqnr_grade(unit["sqnr_db"]),
            "own": sqnr_grade(unit["own_db"]),
            "gain": effect_grade(unit["gain_db"]),
        },
        "texts": {
            "sqnr": bare(decibels(unit["sqnr_db"])),
            "own": bare(decibels(unit["own_db"])),
            "gain": bare(gain(unit["gain_db"])),
        },
        "title": f"{_title(box)}: SQNR {decibels(unit['sqnr_db'])}",
    }


def _title(box: Json) -> str:
    reason = box.get("reason")
    name = f"{box['name']}, {box['operator']}"
    return f"{name}, stays float. {sentence(reason)}" if reason else name


def _shortened(text: str, letters: int) -> str:
    """The end of a layer's path says more than its beginning."""
    return text if len(text) <= letters else "\N{HORIZONTAL ELLIPSIS}" + text[1 - letters :]


def _middle(x: float, y: float) -> tuple[float, float]:
    return MARGIN + x * BOX[0], MARGIN + BOX[1] / 2 + y * ROW


def _path(route: Sequence[Sequence[float]]) -> str:
    """Curved between two rows, straight beside a row: no edge runs behind a box."""
    points = [_middle(x, y) for x, y in route]
    half = BOX[1] / 2
    parts = [f"M{points[0][0]:.0f} {points[0][1] + half:.1f}"]
    for (x0, y0), (x1, y1) in pairwise(points):
        leaves, enters = y0 + half, y1 - half
        bend = (leaves + enters) / 2
        curve = f"C{x0:.0f} {bend:.1f} {x1:.0f} {bend:.1f} {x1:.0f} {enters:.1f}"
        parts.append(f"V{leaves:.1f}")
        parts.append(f"V{enters:.1f}" if round(x0) == round(x1) else curve)
    return "".join(parts)
