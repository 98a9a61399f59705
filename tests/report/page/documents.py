"""Made-up documents of the report: as many layers as one likes, and names that mean harm."""

import math
import random
from itertools import pairwise
from typing import Any

from zeropoint.report.page.document import rounded
from zeropoint.report.page.graph_layout import layout

HOSTILE = "<script>window.harm = 1</script>"
HOSTILE_LINE = '</script><img src=x onerror="window.harm = 2"> & "quotes" \'single\''

Json = dict[str, Any]  # what json.dumps takes


def made_up(layers: int = 12, *, labels: bool = True) -> Json:
    """A chain of residual blocks with two outputs; the same for the same arguments."""
    random_ = random.Random(0)
    names = ["x", *(f"block{i // 3}.{i % 3}.conv" for i in range(layers - 2)), HOSTILE]
    units = [_unit(random_, index, name) for index, name in enumerate(names)]
    findings = [_finding(units[2]), _finding(units[-1])]
    document = {
        "zeropoint": "0.0",
        "model": "Made<Up>",
        "engine": "reference",
        "created": "2026-01-01 00:00 UTC",
        "provenance": {"torch": "2", "samples": 512, "recipe": "Recipe()"},
        "comparison": comparison(labels=labels),
        "samples": 128,
        "output_sqnr_db": 31.25,
        "agreement": 0.99,
        "layers": units,
        "findings": findings,
        "costliest": [
            {
                "value": unit["value"],
                "name": unit["name"],
                "gain_db": 1.5,
                "finds": "a finding",
                "what_to_do": "do this",
                "change": "x: y",
            }
            for unit in (units[3], units[-1])
        ],
        "graph": _graph(names),
    }
    cleaned: Json = rounded(document)
    return cleaned


def comparison(*, labels: bool = True) -> Json:
    return {
        "samples": 1000,
        "float_accuracy": 0.93 if labels else None,
        "int8_accuracy": 0.91 if labels else None,
        "flips": {"gained": 5, "lost": 25} if labels else None,
        "agreement": 0.97,
        "sqnr_db": 31.25,
        "float_bytes": 44_700_000,
        "int8_bytes": 11_300_000,
        "latency": {
            "float eager": {"1": 20.0, "16": 300.0},
            "float channels_last": {"1": 18.0, "16": 290.0},
            "int8": {"1": 6.0, "16": 100.0},
        },
        "coverage": {
            "integer_layers": 10,
            "layers": 11,
            "integer_macs": 9_900_000,
            "macs": 10_000_000,
            "share_of_macs": 0.99,
            "islands": [
                {
                    "layer": HOSTILE,
                    "operator": "aten.silu.default",
                    "reason": "no integer form",
                    "line": HOSTILE_LINE,
                    "macs": 0,
                }
            ],
            "uncounted": [],
        },
        "engine": "reference",
        "size_ratio": 3.96,
    }


def _unit(random_: random.Random, index: int, name: str) -> Json:
    is_input, is_last = index == 0, name == HOSTILE
    noise = {
        "inherited": 0.0 if is_input else 10 ** -random_.uniform(2, 4),
        "weight": 0.0 if is_input else 10 ** -random_.uniform(3, 5),
        "bias": 0.0,
        "clipping": 10 ** -random_.uniform(3, 6),
        "rounding": 10 ** -random_.uniform(3, 5),
    }
    total = sum(noise.values())
    maxima = [random_.uniform(0.5, 3) for _ in range(64)]
    return {
        "value": f"{name}.out",
        "layer": name,
        "name": name,
        "operator": "input" if is_input else "conv2d",
        "line": HOSTILE_LINE if is_last else "net.py:1  y = self.conv(x)",
        "kind": "input" if is_input else "layer",
        "grid": None
        if is_last
        else {"type": "u8", "scale": 0.02, "zero_point": 3, "low": 0, "high": 255, "axis": None},
        "elements": 4096,
        "sqnr_db": -10 * math.log10(total),
        "own_db": -10 * math.log10(total - noise["inherited"]),
        "inherited_db": -10 * math.log10(noise["inherited"]) if noise["inherited"] else None,
        "noise": noise,
        "saturated": None if is_last else random_.uniform(0, 0.01),
        "codes_used": None if is_last else random_.randrange(20, 257),
        "codes": None if is_last else 256,
        "channels": {"maxima": [*maxima, 0.0, 40.0], "dead": [64], "outliers": [65]},
        "alone_db": random_.uniform(30, 50),
        "without_db": random_.uniform(30, 40),
        "gain_db": None if is_input else random_.uniform(-0.1, 2),
        "scatter": [[x, round(x / 0.05) * 0.05] for x in (random_.gauss(0, 1) for _ in range(400))],
        "macs": 1000,
        "share_of_macs": 1 / 12,
        "activations": _plots(random_, 0.02, has_grid=not is_last),
        "weights": None if is_input else _plots(random_, 2.0, has_grid=True),
    }


def _plots(random_: random.Random, width: float, *, has_grid: bool) -> Json:
    counts = [int(1e5 * math.exp(-(((i - 48) / 14) ** 2))) for i in range(96)]
    high = 40 * width
    names = ["in use", "MinMax", "MovingAverage", "Sigma", "Percentile", "Entropy", "MSE"]
    factors = [2 ** (step / 10) for step in range(-20, 21)]
    ranges = [
        {
            "name": name,
            "calibrator": f"{name}()",
            "low": -high * random_.uniform(0.8, 1.1),
            "high": high * random_.uniform(0.8, 1.1),
            "chosen": name == "in use",
        }
        for name in names
    ]
    sweep = {
        "factors": factors,
        "sqnr_db": [40 - 12 * abs(math.log2(factor)) for factor in factors],
    }
    return {
        "shape": ["N", 64, 8, 8],
        "histogram": {"low": -48 * width, "width": width, "counts": counts},
        "ranges": ranges if has_grid else [],
        "sweep": sweep if has_grid else None,
    }


def _finding(unit: Json) -> Json:
    return {
        "check": "outlier_channel",
        "layer": unit["layer"],
        "value": unit["value"],
        "finds": "one channel reaches 13 times as far as the others",
        "why": "All channels share one scale",
        "what_to_do": "Equalize it",
        "change": f"{unit['layer']}: activations calibrator=MSE()",
        "own_gain_db": 3.0,
        "output_gain_db": 0.5,
    }


def _graph(names: list[str]) -> Json:
    """Every third node is read again three nodes further on; the last two are both outputs."""
    chain = list(pairwise(names))
    chain[-1] = (names[-3], names[-1])
    skips = [(names[i], names[i + 3]) for i in range(1, len(names) - 4, 3)]
    order = {name: place for place, name in enumerate(names)}
    edges = sorted([*chain, *skips], key=lambda edge: order[edge[1]])
    drawing = layout(names, edges)
    nodes = [
        {
            "id": name,
            "name": name,
            "operator": "conv2d",
            "value": f"{name}.out",
            "kind": "integer",
            "reason": "",
            "x": drawing.places[name][0],
            "y": drawing.places[name][1],
        }
        for name in names
    ]
    passive = {**nodes[-1], "id": "p", "name": "pool", "value": None, "kind": "float"}
    nodes.append({**passive, "reason": "no integer form", "x": 2.0})
    return {
        "nodes": nodes,
        "edges": [list(map(list, route)) for route in drawing.routes],
        "width": drawing.width + 1,
        "rows": drawing.rows,
    }
