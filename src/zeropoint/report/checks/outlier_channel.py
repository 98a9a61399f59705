"""Weights that share one scale although their channels are of different size.

The greatest channel chooses the scale, and small channels have a few codes only. A scale for each
output channel costs nothing at run time.
"""

from collections.abc import Iterator

from zeropoint.arithmetic.granularity import PerChannel
from zeropoint.report.analysis.finding import Change, Edit, Finding
from zeropoint.report.checks.evidence import Case


def outlier_channel(case: Case) -> Iterator[Finding]:
    """Layers with per-tensor weights that a scale for each channel would help."""
    for evidence in case.units:
        grid = evidence.weight_grid
        if evidence.key is None or grid is None or grid.axis is not None:
            continue
        left = evidence.left(weight=evidence.weight_left(PerChannel(), grid.type.bits))
        if not evidence.is_worth(left):
            continue
        reach = evidence.rows().abs().amax(1)
        ratio = (reach.max() / reach[reach > 0].median()).item()
        words = (
            f"all {len(reach)} channels of the weight share one scale, and channel "
            f"{int(reach.argmax())} is {ratio:.1f} times as large as the median one",
            "the small channels are left with few codes, and their weights are mostly rounding",
            "Give each output channel its own scale: it costs nothing at run time",
        )
        edit = Edit(granularity=PerChannel())
        change = Change(evidence.key, evidence.origin, weights=edit)
        yield evidence.finding("outlier_channel", words, change, left)
