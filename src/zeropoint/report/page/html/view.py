"""The document in the page's words: what the template fills in, already formatted.

The page draws the rows of its table, its findings and its network without any script; scripts only
sort and filter them, and draw the plots of the layer that was chosen.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zeropoint.report.page.html.drawing import drawing
from zeropoint.report.page.html.glossary import GLOSSARY
from zeropoint.report.page.html.grades import EFFECT_SCALE, SQNR_SCALE, sqnr_grade
from zeropoint.report.page.html.verdict import headline, summary, tiles
from zeropoint.report.page.html.words import bare, counted, decibels, gain, percent, sentence

Json = Mapping[str, Any]  # a part of the document

PARTS = ("inherited", "weight", "bias", "clipping", "rounding")

FULL_BAR_DB = 60.0
"""The SQNR at which the table's bar is full."""


@dataclass(frozen=True)
class Column:
    """A column of the table: what it sorts by, and whether narrow screens show it."""

    key: str
    label: str
    term: str = ""
    style: str = ""


COLUMNS = (
    Column("index", "#", style="right medium"),
    Column("name", "Layer"),
    Column("sqnr", "SQNR, dB", "sqnr"),
    Column("own", "Own, dB", "own", "right wide"),
    Column("inherited", "Inherited, dB", "inherited", "right wide"),
    Column("local", "Error by its parts", "split", "medium"),
    Column("saturated", "Saturated", "saturated", "right medium"),
    Column("codes", "Codes used", "codes", "medium"),
    Column("gain", "Effect on output, dB", "effect"),
)


def view(document: Json) -> dict[str, Any]:
    """Everything that the template shows, but for scripts, styles and data."""
    layers, findings = document["layers"], document["findings"]
    model = document["model"]
    return {
        "version": document["zeropoint"],
        "title": f"{model}: float32 against int8",
        "model": model,
        "engine": document["engine"],
        "created": document["created"],
        "headline": headline(document),
        "summary": summary(document),
        "tiles": tiles(document),
        "islands": document["comparison"]["coverage"]["islands"],
        "costs": [_cost(cost) for cost in document["costliest"]],
        "columns": COLUMNS,
        "rows": rows(layers, findings),
        "first": next((cost["value"] for cost in document["costliest"]), ""),
        "parts": PARTS,
        "map": drawing(document["graph"], layers),
        "scales": {"sqnr": "|".join(SQNR_SCALE), "gain": "|".join(EFFECT_SCALE)},
        "findings": [_finding(finding) for finding in findings],
        "glossary": [
            {"key": key, "term": term, "text": text} for key, (term, text) in GLOSSARY.items()
        ],
        "facts": _facts(document),
    }


# --- the table ---------------------------------------------------------------------------------


def rows(layers: Sequence[Json], findings: Sequence[Json]) -> list[dict[str, Any]]:
    """A row for each layer, in the network's order."""
    greatest = max((layer["gain_db"] or 0.0 for layer in layers), default=0.0)
    about = [finding["value"] for finding in findings]
    return [
        _row(index, layer, about.count(layer["value"]), greatest)
        for index, layer in enumerate(layers, start=1)
    ]


def _row(index: int, layer: Json, findings: int, greatest: float) -> dict[str, Any]:
    noise = {part: layer["noise"][part] or 0.0 for part in PARTS}
    total = sum(noise.values())
    shares = {part: energy / total if total else 0.0 for part, energy in noise.items()}
    name, value, operator = layer["name"], layer["value"], layer["operator"]
    codes, effect = layer["codes_used"], layer["gain_db"]
    return {
        "index": index,
        "value": value,
        "name": name,
        "operator": operator,
        "find": f"{name} {value} {operator} {layer['kind']} {layer['line']}".lower(),
        "findings": findings,
        "sort": {
            "index": index,
            "name": name,
            "sqnr": _key(layer["sqnr_db"]),
            "own": _key(layer["own_db"]),
            "inherited": _key(layer["inherited_db"]),
            "local": 1 - shares["inherited"],
            "saturated": _key(layer["saturated"]),
            "codes": _key(codes),
            "gain": _key(effect),
        },
        "sqnr": _number(layer["sqnr_db"]),
        "sqnr_grade": sqnr_grade(layer["sqnr_db"]),
        "sqnr_width": _width(layer["sqnr_db"], FULL_BAR_DB),
        "own": _number(layer["own_db"]),
        "inherited": _number(layer["inherited_db"]),
        "split": [
            {"name": part, "width": round(100 * share, 1)}
            for part, share in shares.items()
            if share
        ],
        "split_text": ", ".join(f"{part} {percent(share, 1)}" for part, share in shares.items()),
        "saturated": percent(layer["saturated"]),
        "codes": "\N{EN DASH}" if codes is None else str(codes),
        "codes_width": _width(codes, layer["codes"] or 1),
        "gain": _number(effect, 2),
        "gain_width": _width(effect, greatest),
    }


def _key(number: float | None) -> str:
    """What a column is sorted by."""
    return "" if number is None else str(number)


def _number(value: float | None, digits: int = 1) -> str:
    return bare(decibels(value) if digits == 1 else gain(value))


def _width(value: float | None, full: float) -> float:
    return round(100 * min(max((value or 0.0) / full, 0.0), 1.0), 1) if full else 0.0


# --- findings ----------------------------------------------------------------------------------


def _cost(cost: Json) -> dict[str, Any]:
    return {
        "value": cost["value"],
        "name": cost["name"],
        "gain": decibels(cost["gain_db"]) if cost["gain_db"] >= 1 else gain(cost["gain_db"])[1:],
        "finds": sentence(cost["finds"]),
        "what_to_do": sentence(cost["what_to_do"]),
        "change": cost["change"],
    }


def _finding(finding: Json) -> dict[str, Any]:
    own, output = finding["own_gain_db"], finding["output_gain_db"]
    return {
        "value": finding["value"],
        "name": finding["layer"] or finding["value"],
        "check": finding["check"].replace("_", " "),
        "finds": sentence(finding["finds"]),
        "why": sentence(finding["why"]),
        "what_to_do": sentence(finding["what_to_do"]),
        "change": finding["change"],
        "own_gain": "" if own is None else gain(own),
        "output_gain": "" if output is None else gain(output),
    }


def _facts(document: Json) -> dict[str, str]:
    """The page's foot: what was run, on what."""
    provenance, comparison = document["provenance"], document["comparison"]
    return {
        "zeropoint": document["zeropoint"],
        "torch": str(provenance.get("torch", "")),
        "engine": document["engine"],
        "calibrated on": counted(provenance.get("samples", 0), "sample"),
        "compared on": counted(comparison["samples"], "sample"),
        "layers analysed on": counted(document["samples"], "sample"),
        "latency": "median of 20 calls, both networks in turns on this machine",
        "recipe": str(provenance.get("recipe", "")),
    }
