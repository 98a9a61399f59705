"""The curves of a sweep as a figure: the layer's output and the network's, side by side."""

from typing import TYPE_CHECKING

from zeropoint.errors import EngineError
from zeropoint.report.sweep.curves import Errors, Sweep, least, names_by_scale

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INCHES = (9.0, 4.2)


def figure(sweep: Sweep) -> "Figure":
    """The figure; EngineError without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise EngineError(
            "plot() needs matplotlib, which is not installed: pip install 'zeropoint[report]'"
        ) from error
    drawn = Figure(figsize=INCHES, layout="constrained")
    drawn.suptitle(sweep.title)
    left, right = drawn.subplots(1, 2, sharex=True)
    _draw(left, sweep, sweep.layer_errors)
    _draw(right, sweep, sweep.output_errors)
    left.set_title("output of the layer")
    right.set_title("output of the network")
    lines, names = left.get_legend_handles_labels()
    drawn.legend(lines, names, loc="outside lower center", ncols=3, fontsize="small", frameon=False)
    return drawn


def _draw(axes: "Axes", sweep: Sweep, errors: Errors) -> None:
    order, best = sweep.scales.argsort(), least(errors.rms)
    scales = sweep.scales[order]
    axes.plot(scales, errors.rms[order], color="C0", label="rms of the error")
    axes.plot(scales, errors.largest[order], color="C0", linewidth=0.7, label="greatest |error|")
    axes.plot([sweep.scales[best]], [errors.rms[best]], "o", color="C0", label="least rms")
    marked = list(sweep.marks.values())
    for colour, (index, names) in enumerate(names_by_scale(sweep.marks).items(), start=1):
        axes.axvline(
            marked[index], color=f"C{colour}", linewidth=1.2, linestyle=":", label=", ".join(names)
        )
    axes.set(xlabel="scale", xscale="log", yscale="log")
