"""The tables of the page, from what `results.json` holds."""

from typing import Any

from benchmarks.load import QUIET_CORES
from benchmarks.results import markdown_table
from studies.affine.bits import BITS, WAYS
from studies.affine.speed import FUSED_RECORDING, TRAINING

PUBLISHED = {TRAINING: 341, FUSED_RECORDING: 238}
"""Microseconds that the notebook printed."""

Facts = dict[str, Any]  # what asdict() makes of the dataclasses, as it goes into results.json


def all_tables(facts: Facts) -> dict[str, str]:
    """The text for each pair of markers."""
    return {
        "printed": printed(facts["printed"]),
        "mistakes": mistakes(facts["mistakes"]),
        "bits": bits(facts["bits"]),
        "folding": folding(facts["folding"]),
        "speed": speed(facts["speed"]),
    }


def printed(rows: list[Facts]) -> str:
    return markdown_table(
        ("", "numbers", "alike", "largest difference", "alike with a fifth digit"),
        [
            (
                row["what"],
                str(row["numbers"]),
                str(row["same"]),
                number(row["largest_difference"], 1),
                str(row["same_completed"]),
            )
            for row in rows
        ],
    )


def mistakes(rows: list[Facts]) -> str:
    order = list(dict.fromkeys(row["mistake"] for row in rows))  # numbered as the page lists them
    return markdown_table(
        ("mistake: what it does", "notebook", "zeropoint", "exact"),
        [
            (
                f"{order.index(row['mistake']) + 1} {row['mistake']}: {row['quantity']}",
                number(row["notebook"]),
                number(row["zeropoint"]),
                "" if row["ideal"] is None else number(row["ideal"]),
            )
            for row in rows
        ],
    )


def number(value: float, digits: int = 5) -> str:
    return f"{value:.{digits}g}"


def bits(facts: Facts) -> str:
    shown = [("4x4 tensor", metric) for metric in ("largest", "rms", "sqnr_db")]
    shown += [("classifier weights", "sqnr_db"), ("photograph", "sqnr_db")]
    return "\n\n".join(errors(tensor, facts[tensor], metric) for tensor, metric in shown)


def errors(tensor: str, facts: Facts, metric: str) -> str:
    title, form = {
        "largest": ("largest error", "{:.4f}"),
        "rms": ("rms error", "{:.4f}"),
        "sqnr_db": ("SQNR in dB", "{:.1f}"),
    }[metric]
    return markdown_table(
        (f"{tensor}, {title}", *(f"{count} bits" for count in BITS)),
        [(way, *(form.format(facts[way][str(count)][metric]) for count in BITS)) for way in WAYS],
    )


def folding(facts: Facts) -> str:
    return markdown_table(
        (
            "convolution",
            "largest output",
            "float64",
            "float32",
            "float32, absolute",
            "notebook's folding",
            "notebook's `fuse`",
        ),
        [
            (
                case,
                number(row["magnitude"], 3),
                small(row["float64"]),
                small(row["float32"]),
                small(row["float32_absolute"]),
                small(row["fold"]),
                small(row["fuse"]),
            )
            for case, row in facts.items()
        ],
    )


def small(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.1e}"


def speed(facts: Facts) -> str:
    table = markdown_table(
        ("conv, batch norm, ReLU", "the notebook", "here", "times as fast as float, not fused"),
        [
            (
                name,
                f"{PUBLISHED[name]} us" if name in PUBLISHED else "",
                f"{microseconds:.0f} us",
                f"{facts['times_as_fast'][name]:.2f}",
            )
            for name, microseconds in facts["microseconds"].items()
        ],
    )
    published = PUBLISHED[TRAINING] / PUBLISHED[FUSED_RECORDING]
    return (
        f"{table}\n\nBetween the notebook's two calls: {published:.2f} times as fast there, "
        f"{facts['notebook_ratio']:.2f} here. The int8 layer's output has "
        f"{facts['sqnr_db']:.1f} dB.\n{others(facts['other_load'])}"
    )


def others(cores: float) -> str:
    if cores < QUIET_CORES:
        return "The machine was otherwise idle."
    return f"Provisional: other programs kept {cores:.1f} cores busy meanwhile."
