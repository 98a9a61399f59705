"""The image itself on a grid that clips it, or that does not hold the levels of its pixels.

Pixels of 8 bits have 256 levels a fixed step apart, and a grid of 8 bits can hold all of them: if
its step is that step, and zero is a level. A normalization that moves zero between two levels
(a mean of 0.4914, which is no whole number of 255ths) rounds every pixel; no range mends that.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from zeropoint.report.analysis.finding import Finding
from zeropoint.report.checks.better_range import better_range, spelled
from zeropoint.report.checks.evidence import Case, Evidence, levels

CODES = 256

NEXT_TO = 0.02
"""Levels count as a step's multiples up to this share of it: normalization rounds them."""

LATTICE_GAIN_DB = 1.0
"""What the outputs have to lose by the rounding of pixels for a word about normalization."""


def input_grid(case: Case) -> Iterator[Finding]:
    """Inputs that another calibrator would help, or a mean that is a level."""
    for evidence in case.units:
        if evidence.unit.node is not None or evidence.grid is None:
            continue
        better = better_range(evidence)
        shifted = _shift(evidence) if better is None else None
        if better is not None:
            words = (
                f"the input {evidence.layer.layer} is on a grid over {spelled(evidence.grid)}, and "
                f"{100 * (evidence.layer.saturated or 0):.2g} % of it is clipped",
                "what is lost here is lost to every layer",
                f"Calibrate it with {better.calibrator!r}, which covers {spelled(better.grid)}",
            )
            yield evidence.finding("input_grid", words, better.change, better.left)
        elif shifted is not None and (evidence.gain_db(0.0) or 0.0) >= LATTICE_GAIN_DB:
            words = (
                f"the pixels of {evidence.layer.layer} have levels a step of {shifted[1]:.4g} "
                f"apart, and zero is {shifted[0]:.4g} from the nearest of them",
                "zero is always on the grid, so no level is: every pixel is rounded",
                f"Normalize with a mean that is a level: add {shifted[0]:.4g} to the images, in "
                "training as well if you can",
            )
            yield evidence.finding("input_grid", words, None, 0.0)


def _shift(evidence: Evidence) -> tuple[float, float] | None:
    """What moves a level onto zero, and the step between levels; None if there is none to find."""
    found = levels(torch.cat(evidence.tally.samples))
    if not 2 < len(found) <= CODES:
        return None
    step = found.diff().min()
    shift = -found[found.abs().argmin()]
    if not _are_multiples(found + shift, step) or abs(shift) < NEXT_TO * step:
        return None
    return shift.item(), step.item()


def _are_multiples(found: Tensor, step: Tensor) -> bool:
    steps = found / step
    return bool(((steps - steps.round()).abs() < NEXT_TO).all())
