"""Fewer than 8 bits where the network feels it."""

from collections.abc import Iterator

from zeropoint.arithmetic.granularity import PerChannel, PerTensor
from zeropoint.arithmetic.integer import IntegerType
from zeropoint.arithmetic.qparams import QParams
from zeropoint.report.analysis.finding import Change, Edit, Finding
from zeropoint.report.checks.better_range import regridded
from zeropoint.report.checks.evidence import Case, Evidence

BITS = 8


def too_few_bits(case: Case) -> Iterator[Finding]:
    """Units with fewer than 8 bits that 8 would help."""
    for evidence in case.units:
        if evidence.key is None:
            continue
        narrow = {"weights": evidence.weight_grid, "activations": evidence.grid}
        narrow = {name: grid for name, grid in narrow.items() if grid and grid.type.bits < BITS}
        left = evidence.left(
            weight=_weights_left(evidence, narrow.get("weights")),
            narrowing=_narrowing_left(evidence, narrow.get("activations")),
        )
        if not narrow or not evidence.is_worth(left):
            continue
        found = " and ".join(
            f"{grid.type.bits}-bit {name}" for name, grid in narrow.items() if grid
        )
        words = (
            f"it has {found}",
            f"a bit is worth 6 dB, and this layer's own error is {evidence.layer.own_db:.1f} dB "
            "below its signal",
            f"Give it {BITS} bits: integers of fewer bits are stored as bytes and run no faster",
        )
        edits = {name: Edit(bits=BITS) for name in narrow}
        change = Change(
            evidence.key, evidence.origin, edits.get("weights"), edits.get("activations")
        )
        yield evidence.finding("too_few_bits", words, change, left)


def _weights_left(evidence: Evidence, grid: QParams | None) -> float:
    if grid is None:
        return 1.0
    return evidence.weight_left(PerTensor() if grid.axis is None else PerChannel(), BITS)


def _narrowing_left(evidence: Evidence, grid: QParams | None) -> float:
    if grid is None:
        return 1.0
    type = IntegerType(BITS, signed=False)
    return evidence.narrowing_left(regridded(evidence, type, evidence.is_symmetric))
