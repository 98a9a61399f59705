"""What may be wrong with a quantized network, one file each; every check proposes what mends it.

To add a check, write its file and put it into the list. Of two proposals for the same field of a
layer's recipe the one that gains more is kept; what nobody can predict a gain for comes last. No
check has to know which recipe is in use: what proposes the same again is dropped here.
"""

from collections.abc import Callable, Iterator

from zeropoint.report.analysis.finding import Finding
from zeropoint.report.checks.clipped_activation import clipped_activation
from zeropoint.report.checks.dead_channels import dead_channels
from zeropoint.report.checks.evidence import Case
from zeropoint.report.checks.fragile_layer import fragile_layer
from zeropoint.report.checks.input_grid import input_grid
from zeropoint.report.checks.island import island
from zeropoint.report.checks.lopsided_data import lopsided_data
from zeropoint.report.checks.outlier_channel import outlier_channel
from zeropoint.report.checks.too_few_bits import too_few_bits
from zeropoint.report.checks.unused_codes import unused_codes

Check = Callable[[Case], Iterator[Finding]]

CHECKS: tuple[Check, ...] = (
    input_grid,
    outlier_channel,
    clipped_activation,
    unused_codes,
    lopsided_data,
    too_few_bits,
    island,
    dead_channels,
)

LAST_RESORTS: tuple[Check, ...] = (fragile_layer,)
"""Only for layers that nothing else would help."""


def findings(case: Case) -> tuple[Finding, ...]:
    """What the checks find, by the predicted gain of the outputs."""
    found = [finding for check in CHECKS for finding in check(case) if case.is_news(finding)]
    helped = {finding.value for finding in found if finding.change is not None}
    rest = [f for check in LAST_RESORTS for f in check(case) if case.is_news(f)]
    found += [finding for finding in rest if finding.value not in helped]
    return tuple(_best_of_each(sorted(found, key=_gain, reverse=True)))


def _gain(finding: Finding) -> tuple[float, float]:
    worst = float("-inf")
    own = worst if finding.own_gain_db is None else finding.own_gain_db
    return (worst if finding.output_gain_db is None else finding.output_gain_db, own)


def _best_of_each(found: list[Finding]) -> Iterator[Finding]:
    taken: set[tuple[str, tuple[str, str]]] = set()
    for finding in found:
        touches = finding.change.touches if finding.change else ()
        fields = {(finding.value, field) for field in touches}
        if taken.isdisjoint(fields):
            taken |= fields
            yield finding
