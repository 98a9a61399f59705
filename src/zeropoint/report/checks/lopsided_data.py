"""Data with a short side on a grid with zero in its middle: most codes of that side are unused.

One-sided data do not come here: a symmetric grid of theirs begins at zero. It is a short negative
side, as of SiLU, hardswish or leaky ReLU, that costs up to half of the codes.
"""

from collections.abc import Iterator

from zeropoint.report.analysis.finding import Change, Edit, Finding
from zeropoint.report.checks.better_range import regridded, spelled
from zeropoint.report.checks.evidence import Case


def lopsided_data(case: Case) -> Iterator[Finding]:
    """Units on a symmetric grid that an affine one would help."""
    for evidence in case.units:
        grid = evidence.grid
        if grid is None or evidence.key is None or not evidence.is_symmetric:
            continue
        affine = regridded(evidence, grid.type, symmetric=False)
        left = evidence.left(narrowing=evidence.narrowing_left(affine))
        if not evidence.is_worth(left):
            continue
        observation = evidence.tally.observation
        words = (
            f"the results reach from {observation.low:.4g} to {observation.high:.4g}, and the "
            f"symmetric grid covers {spelled(grid)}: "
            f"{evidence.layer.codes_used} of {evidence.layer.codes} codes are used",
            "each unused code is resolution that the others could have",
            f"Let the grid be affine (symmetric=False): it covers {spelled(affine)}",
        )
        change = Change(evidence.key, evidence.origin, activations=Edit(symmetric=False))
        yield evidence.finding("lopsided_data", words, change, left)
