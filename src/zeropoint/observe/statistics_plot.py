"""Histograms of activations with what calibrators choose, as a matplotlib figure."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from zeropoint.errors import ZeropointError
from zeropoint.observe.calibrator import Calibrator
from zeropoint.observe.observation import Observation
from zeropoint.observe.statistics_choice import Choice

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 3
SIZE = (5.0, 3.0)
"""Inches, of one histogram."""

BARS = 256


def figure(
    values: Mapping[str, tuple[Observation, Mapping[Calibrator, Choice]]],
) -> "Figure":
    """A histogram of each value, counts logarithmic, and a line at each end of each range."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ZeropointError(
            "plots need matplotlib, which is not installed: pip install 'zeropoint[report]'"
        ) from None
    columns = min(COLUMNS, len(values))
    rows = -(-len(values) // columns)
    drawing = Figure(figsize=(SIZE[0] * columns, SIZE[1] * rows), layout="constrained")
    axes = list(drawing.subplots(rows, columns, squeeze=False).flat)
    for axis, (name, (observation, choices)) in zip(axes, values.items(), strict=False):
        _draw(axis, name, observation, choices)
    for axis in axes[len(values) :]:
        axis.set_axis_off()
    return drawing


def _draw(
    axes: "Axes", name: str, observation: Observation, choices: Mapping[Calibrator, Choice]
) -> None:
    histogram = observation.histogram
    merged = len(histogram.counts) // BARS
    counts = histogram.counts.reshape(BARS, merged).sum(1)
    edges = histogram.edges()[::merged]
    axes.stairs(counts.numpy(), edges.numpy(), fill=True, color="0.8")
    for index, (calibrator, choice) in enumerate(choices.items()):
        label = f"{type(calibrator).__name__} {choice.sqnr_db:.1f} dB"
        axes.axvline(choice.low, color=f"C{index}", linewidth=1, linestyle="--", label=label)
        axes.axvline(choice.high, color=f"C{index}", linewidth=1, linestyle="--")
    if observation.low < observation.high:
        axes.set_xlim(observation.low, observation.high)
    axes.set(title=name, xlabel="value", ylabel="count", yscale="log")
    axes.legend(fontsize="xx-small")
