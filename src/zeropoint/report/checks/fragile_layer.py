"""A layer whose weights do not fit 8 bits at all: better kept float, if nothing cheaper helps.

Only what its weights and bias cost is won: a float layer's result is put on a grid as well where
integers read it.
"""

from collections.abc import Iterator

from zeropoint.report.analysis.finding import Change, Finding
from zeropoint.report.checks.evidence import Case

LOW_DB = 20.0
"""An own SQNR that 8 bits should always reach."""

OUTPUT_GAIN_DB = 1.0
"""The least gain that is worth the time of a float layer."""


def fragile_layer(case: Case) -> Iterator[Finding]:
    """Layers of low SQNR without which the outputs are measurably better."""
    for evidence in case.units:
        if evidence.key is None or evidence.weight is None or evidence.layer.own_db >= LOW_DB:
            continue
        left = evidence.left(weight=0.0, bias=0.0)
        gain = evidence.gain_db(left)
        if not evidence.is_worth(left) or (gain is not None and gain < OUTPUT_GAIN_DB):
            continue
        share = 100 * _share_of_macs(case, evidence.unit.value)
        cost = f", which has {share:.1f} % of the multiply-accumulates" if share else ""
        words = (
            f"its own error is only {evidence.layer.own_db:.1f} dB below its signal",
            "its weights differ so much within one channel that a step fitting the largest "
            "rounds the others away",
            f"Keep this layer float{cost}",
        )
        change = Change(evidence.key, evidence.origin, keep_float=True)
        yield evidence.finding("fragile_layer", words, change, left)


def _share_of_macs(case: Case, value: str) -> float:
    macs = case.simulation.program.provenance.macs
    whole = sum(macs.values())
    return macs.get(value, 0) / whole if whole else 0.0
