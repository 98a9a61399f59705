"""An analysis as a figure: the SQNR along the network, and each unit's error by its parts."""

from typing import TYPE_CHECKING

from zeropoint.errors import ZeropointError
from zeropoint.report.analysis.analysis import Analysis, LayerAnalysis

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {
    "inherited": "#b8bec8",
    "weight": "#4464ad",
    "bias": "#9ab87a",
    "clipping": "#d1495b",
    "rounding": "#edae49",
}
INCHES_PER_UNIT = 0.35
INCHES = (6.0, 6.5)
"""The least width, and the height."""


def figure(analysis: Analysis) -> "Figure":
    """The figure; ZeropointError without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ZeropointError(
            "plot() needs matplotlib, which is not installed: pip install 'zeropoint[report]'"
        ) from error
    width = max(INCHES[0], 2 + INCHES_PER_UNIT * len(analysis.layers))
    drawn = Figure(figsize=(width, INCHES[1]), layout="constrained")
    line, bars = drawn.subplots(2, 1, sharex=True, height_ratios=(2, 3))
    _draw_sqnr(line, analysis)
    _draw_parts(bars, analysis.layers)
    return drawn


def _draw_sqnr(axes: "Axes", analysis: Analysis) -> None:
    places = range(len(analysis.layers))
    axes.plot(places, [unit.sqnr_db for unit in analysis.layers], marker="o", label="SQNR")
    own = [unit.own_db for unit in analysis.layers]
    axes.plot(places, own, marker=".", linestyle=":", label="of its own error")
    axes.set_ylabel("dB")
    axes.legend()
    axes.grid(alpha=0.3)
    axes.set_title(f"SQNR: {analysis.output_sqnr_db:.1f} dB at the output")


def _draw_parts(axes: "Axes", layers: tuple[LayerAnalysis, ...]) -> None:
    """Bars of each part's share of the parts' energies, one upon the other."""
    whole = [sum(vars(unit.noise).values()) or 1.0 for unit in layers]
    bottom = [0.0] * len(layers)
    for part, colour in COLOURS.items():
        shares = [
            getattr(unit.noise, part) / total for unit, total in zip(layers, whole, strict=True)
        ]
        axes.bar(range(len(layers)), shares, bottom=bottom, color=colour, label=part)
        bottom = [low + share for low, share in zip(bottom, shares, strict=True)]
    axes.set_xticks(range(len(layers)), [unit.layer for unit in layers], rotation=90)
    axes.set_ylabel("share of the error's energy")
    axes.set_ylim(0, 1)
    axes.legend(ncols=len(COLOURS), loc="lower center", bbox_to_anchor=(0.5, 1.0), frameon=False)
