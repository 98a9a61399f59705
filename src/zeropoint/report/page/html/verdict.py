"""The top of the page: whether the int8 network is good enough, in a sentence and a few numbers."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from zeropoint.report.page.html.words import (
    GAP,
    counted,
    decibels,
    megabytes,
    milliseconds,
    percent,
    sentence,
    times,
)

Json = Mapping[str, Any]  # a part of the document

CERTAIN = 2.0
"""A change of accuracy counts as one from so many standard errors on."""


@dataclass(frozen=True)
class Tile:
    """One number of the verdict, perhaps with the one before; `key` leads to the glossary."""

    label: str
    value: str
    unit: str = ""
    before: str = ""
    notes: tuple[str, ...] = ()
    key: str = ""


def headline(document: Json) -> str:
    """What became of the accuracy; of the decisions or the output where that is unknown."""
    model, card = document["model"], document["comparison"]
    before, after = card["float_accuracy"], card["int8_accuracy"]
    if before is not None and after is not None:
        change = 100 * (after - before)
        numbers = f"{percent(after)} in int8, {percent(before)} in float"
        if abs(change) <= CERTAIN * standard_error(card) or abs(change) < 0.005:
            return f"{model} keeps its accuracy: {numbers}."
        verb = "loses" if change < 0 else "gains"
        return f"{model} {verb} {abs(change):.2f} points of accuracy: {numbers}."
    if card["agreement"] is not None:
        same = percent(card["agreement"])
        return f"{model} decides alike in int8 and in float on {same} of the samples."
    return f"The int8 output of {model} has a signal to noise ratio of {decibels(card['sqnr_db'])}."


def summary(document: Json) -> str:
    """What it gained in size and in speed; first of all, if the accuracy is not known."""
    card = document["comparison"]
    parts = [_smaller(card)]
    ratio = speed_up(card, min_batch(card))
    if ratio is not None:
        word = "faster" if ratio >= 1 else "slower"
        parts.append(f"{times(max(ratio, 1 / ratio))} {word} at batch {min_batch(card)}")
    cover = card["coverage"]
    parts.append(f"{_share(cover)} multiply-accumulates in integers")
    gained = sentence(", ".join(parts))
    if card["float_accuracy"] is not None:
        return gained
    if card["agreement"] is None:
        return f"The accuracy is unknown: it needs labels and, for such outputs, a metric. {gained}"
    return f"The accuracy is unknown, since the data came without labels. {gained}"


def _share(cover: Json) -> str:
    """How much runs in integers, in words; of what is counted, where something is not."""
    share = cover["share_of_macs"]
    if cover["uncounted"]:
        return f"{percent(share, 1)} of the counted"
    whole = cover["integer_macs"] == cover["macs"]
    return f"{'all' if whole else percent(min(share, 0.999), 1)} of the"


def tiles(document: Json) -> list[Tile]:
    """The numbers, one tile each."""
    card = document["comparison"]
    return [
        _accuracy(card),
        _output(document),
        _size(card),
        *(_latency(card, batch) for batch in sorted(card["latency"].get("int8", {}), key=int)),
        _coverage(card["coverage"]),
    ]


def standard_error(card: Json) -> float:
    """Of the change of accuracy, in points: it comes from the flips alone."""
    flips = card["flips"]
    if flips is None or not card["samples"]:
        return 0.0
    return 100 * math.sqrt(flips["gained"] + flips["lost"]) / float(card["samples"])


def min_batch(card: Json) -> int:
    """The smallest batch that was timed; 1 if none was."""
    return min((int(batch) for batch in card["latency"].get("int8", {})), default=1)


def speed_up(card: Json, batch: int) -> float | None:
    """How many times faster int8 is than the fastest float; None if it was not timed."""
    if "int8" not in card["latency"]:
        return None
    return _fastest_float(card, batch) / float(card["latency"]["int8"][str(batch)])


def _fastest_float(card: Json, batch: int) -> float:
    return min(
        float(times[str(batch)]) for name, times in card["latency"].items() if name != "int8"
    )


def _accuracy(card: Json) -> Tile:
    before, after = card["float_accuracy"], card["int8_accuracy"]
    samples = f"on {counted(card['samples'], 'sample')}"
    if before is None or after is None:
        why = "no labels" if card["agreement"] is not None else "no labels, or no metric"
        return Tile("Accuracy", "unknown", notes=(why, samples))
    notes = [samples]
    if card["flips"] is not None:
        gained, lost = card["flips"]["gained"], card["flips"]["lost"]
        change = f"{100 * (after - before):+.2f}".replace("-", "\N{MINUS SIGN}")
        error = f"{standard_error(card):.2f}"
        notes.insert(0, f"{change} \N{PLUS-MINUS SIGN} {error} points")
        notes.insert(1, f"{gained} gained, {lost} lost")
    return Tile(
        "Accuracy", f"{100 * after:.2f}", "%", f"{100 * before:.2f}", tuple(notes), key="flips"
    )


def _output(document: Json) -> Tile:
    card = document["comparison"]
    noise = f"SQNR of the output {decibels(card['sqnr_db'])}"
    if card["agreement"] is None:
        exact = "exact" if card["sqnr_db"] is None else decibels(card["sqnr_db"])
        return Tile("Output, SQNR", exact, key="sqnr")
    agreement = f"{100 * card['agreement']:.2f}"
    return Tile("Same decision", agreement, "%", notes=(noise,), key="agreement")


def _size(card: Json) -> Tile:
    value, unit = megabytes(card["int8_bytes"]).split(GAP)
    before = megabytes(card["float_bytes"]).split(GAP)[0]
    return Tile("Size on disk", value, unit, before, (_smaller(card),))


def _smaller(card: Json) -> str:
    ratio = card["float_bytes"] / card["int8_bytes"]
    return f"{times(max(ratio, 1 / ratio))} {'smaller' if ratio >= 1 else 'larger'}"


def _latency(card: Json, batch: str) -> Tile:
    before, after = _fastest_float(card, int(batch)), float(card["latency"]["int8"][batch])
    ratio = before / after
    faster = f"{times(max(ratio, 1 / ratio))} {'faster' if ratio >= 1 else 'slower'}"
    value, unit = milliseconds(after).split(GAP)
    return Tile(
        f"Latency, batch {batch}", value, unit, milliseconds(before).split(GAP)[0], (faster,)
    )


def _coverage(cover: Json) -> Tile:
    share = f"{100 * cover['share_of_macs']:.1f}"
    layers = f"{cover['integer_layers']} of {counted(cover['layers'], 'layer')}"
    work = f"{cover['macs'] / 1e6:,.1f} M multiply-accumulates"
    count = len(cover["uncounted"])
    rest = (f"{counted(count, 'float island')} not counted",) if count else ()
    return Tile("In integers", share, "%", notes=(layers, work, *rest), key="coverage")
