"""Results that are cut off: what is clipped weighs more than what all the rest is rounded by."""

from collections.abc import Iterator

from zeropoint.report.analysis.finding import Finding
from zeropoint.report.checks.better_range import better_range, spelled
from zeropoint.report.checks.evidence import Case


def clipped_activation(case: Case) -> Iterator[Finding]:
    """Units whose error is clipping above all, and that another calibrator would help."""
    for evidence in case.units:
        tally = evidence.tally
        if evidence.unit.node is None or tally.clipping <= tally.rounding:
            continue
        better = better_range(evidence)
        if better is None or evidence.grid is None:
            continue
        observation = tally.observation
        words = (
            f"{100 * tally.saturated / tally.elements:.2g} % of the results are clipped to "
            f"{spelled(evidence.grid)}; they reach from {observation.low:.4g} to "
            f"{observation.high:.4g}",
            f"clipping costs {tally.clipping / max(tally.rounding, 1e-300):.3g} times what "
            "rounding does",
            f"Calibrate it with {better.calibrator!r}, which covers {spelled(better.grid)}",
        )
        yield evidence.finding("clipped_activation", words, better.change, better.left)
