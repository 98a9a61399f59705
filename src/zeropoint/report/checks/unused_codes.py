"""A grid wider than the data need: a few outliers take the codes from all the rest."""

from collections.abc import Iterator

from zeropoint.report.analysis.finding import Finding
from zeropoint.report.checks.better_range import better_range, spelled
from zeropoint.report.checks.evidence import Case


def unused_codes(case: Case) -> Iterator[Finding]:
    """Units whose error is rounding above all, and that a narrower range would help."""
    for evidence in case.units:
        tally = evidence.tally
        if evidence.unit.node is None or tally.clipping > tally.rounding:
            continue
        better = better_range(evidence)
        if better is None or evidence.grid is None:
            continue
        layer = evidence.layer
        words = (
            f"{layer.codes_used} of {layer.codes} codes are used: the grid covers "
            f"{spelled(evidence.grid)}, but most results need {spelled(better.grid)}",
            "every result is rounded to steps that only a few outliers need",
            f"Calibrate it with {better.calibrator!r} and let the outliers be clipped",
        )
        yield evidence.finding("unused_codes", words, better.change, better.left)
