"""The figures, drawn from the results; the last is what `Sweep.plot()` gives."""

from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from studies.scale_sweep.depth import DEPTHS, VARIANTS, image, network
from studies.scale_sweep.norm_factor import Facts
from zeropoint.report.sweep.sweep import sweep
from zeropoint.report.sweep.tensor import Activations

INCHES = (7.0, 3.2)


def draw(results: dict[str, Any], folder: Path) -> None:  # as results.json holds them
    folder.mkdir(exist_ok=True)
    drawn = {
        "norm_factor": norm_factor(results["curves"]),
        "kernels": kernels(results["kernels"]),
        "depth": depth(results["depth"]),
        "activations": activations(),
    }
    with rc_context({"svg.hashsalt": "scale_sweep"}):  # else an SVG has new names in every run
        for name, figure in drawn.items():
            figure.savefig(folder / f"{name}.svg", metadata={"Date": None})


def norm_factor(curves: Facts) -> Figure:
    figure = Figure(figsize=INCHES, layout="constrained")
    axes = figure.subplots()
    axes.plot(curves["factors"], curves["max"], label="greatest difference")
    axes.plot(curves["factors"], curves["min"], label="least difference")
    axes.axvline(64, color="grey", linestyle=":", linewidth=1)
    axes.axhline(0, color="grey", linewidth=0.5)
    axes.set(xlabel="norm factor", ylabel="float - integers / factor")
    axes.legend(frameon=False)
    return figure


def kernels(facts: Facts) -> Figure:
    figure = Figure(figsize=INCHES, layout="constrained")
    axes = figure.subplots()
    for name, decibels in facts["sqnr_db"].items():
        axes.plot(facts["factors"], decibels, label=name)
    axes.axvline(64, color="grey", linestyle=":", linewidth=1)
    axes.set(xlabel="norm factor", ylabel="SQNR in dB", xscale="log", xlim=(30, 512))
    axes.set_ylim(bottom=-5)
    axes.set_xticks([32, 64, 128, 256, 512], ["32", "64", "128", "256", "512"])
    axes.minorticks_off()
    axes.legend(frameon=False)
    return figure


def depth(facts: dict[str, list[Facts]]) -> Figure:
    """Seed 0."""
    figure = Figure(figsize=INCHES, layout="constrained")
    axes = figure.subplots()
    for name in VARIANTS:
        decibels = [facts[str(layers)][0][name] for layers in DEPTHS]
        axes.plot(DEPTHS, decibels, "o-", label=name)
    axes.set(xlabel="layers", ylabel="SQNR in dB", xticks=DEPTHS)
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def activations() -> Figure:
    """The result of the second of five layers, in 4 bits."""
    return sweep(network(5, 0), [image()], layer="2", of=Activations(), bits=4).plot()
