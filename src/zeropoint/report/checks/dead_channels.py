"""Channels that are zero on every image: they cost time and size, and no accuracy."""

from collections.abc import Iterator

from zeropoint.report.analysis.finding import Finding
from zeropoint.report.checks.evidence import Case

SHARE = 1 / 8
"""The least share of a layer's channels that is worth a word."""


def dead_channels(case: Case) -> Iterator[Finding]:
    """Layers with weights of which many channels are dead."""
    for evidence in case.units:
        channels = evidence.layer.channels
        dead, count = len(channels.dead), len(channels.maxima)
        weighted = evidence.unit.node is not None and evidence.simulation.has_weight(
            evidence.unit.node
        )
        if not weighted or evidence.unit.is_fence or dead < SHARE * count:
            continue
        yield Finding(
            "dead_channels",
            evidence.layer.layer,
            evidence.layer.value,
            f"{dead} of {count} channels are zero on all images",
            "they cost time and memory and carry nothing; quantization loses nothing in them",
            "Prune them from the float model, or look for dead units in its training",
            change=None,
            own_gain_db=None,
            output_gain_db=None,
        )
