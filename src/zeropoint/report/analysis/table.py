"""An analysis as text: one row for each unit, then what was found."""

from typing import TYPE_CHECKING

from rich import box
from rich.console import RenderableType
from rich.table import Column, Table

from zeropoint.render import lines, table

if TYPE_CHECKING:
    from zeropoint.report.analysis.analysis import Analysis, LayerAnalysis


NUMBERS = ("SQNR", "own", "inherited", "weight", "bias", "clip", "round", "sat.", "codes")


def layers_table(analysis: "Analysis") -> Table:
    """The units in the order of the network; the parts are shares of the unit's own error."""
    agreement = analysis.agreement
    decisions = "" if agreement is None else f", {100 * agreement:.2f} % of the decisions agree"
    title = (
        f"Output {decibels(analysis.output_sqnr_db)} dB on {analysis.samples:,} samples{decisions}"
    )
    ranked = any(unit.gain_db is not None for unit in analysis.layers)
    head = [Column(name, overflow="fold") for name in ("layer", "operator")]
    head += [Column(name, justify="right", no_wrap=True) for name in NUMBERS]
    rows = [_cells(unit) for unit in analysis.layers]
    caption = "SQNR, own and inherited in dB; weight, bias, clip and round in % of the own error"
    if ranked:
        head.append(Column("effect", justify="right", no_wrap=True))
        rows = [[*row, _gain(u.gain_db)] for row, u in zip(rows, analysis.layers, strict=True)]
        caption += "; effect: dB that the output gains without it"
    return table(
        head, rows, title=title, caption=caption, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0)
    )


def findings_text(analysis: "Analysis") -> RenderableType:
    """The findings as numbered sentences."""
    if not analysis.findings:
        return lines("Nothing found that a change of the recipe would mend.")
    return lines(*(f"{i}. {finding}" for i, finding in enumerate(analysis.findings, 1)))


def decibels(number: float) -> str:
    """A ratio with one decimal, and a sign for an error of nothing."""
    return f"{number:.1f}".replace("inf", "∞")


def _cells(unit: "LayerAnalysis") -> list[str]:
    noise = unit.noise
    parts = (noise.weight, noise.bias, noise.clipping, noise.rounding)
    whole = sum(parts)
    return [
        unit.layer,
        unit.operator,
        *(decibels(number) for number in (unit.sqnr_db, unit.own_db, unit.inherited_db)),
        *(f"{100 * part / whole:.0f}" if whole else "0" for part in parts),
        "" if unit.saturated is None else f"{100 * unit.saturated:.2f} %",
        "" if unit.codes is None else f"{unit.codes_used}/{unit.codes}",
    ]


def _gain(number: float | None) -> str:
    return "" if number is None else f"{number:+.2f}".replace("inf", "∞")
