"""The tables of README.md, from results.json."""

from collections.abc import Iterable, Mapping, Sequence
from statistics import mean
from typing import Any

from benchmarks.machine import Machine, describe
from benchmarks.results import markdown_table
from studies.lenet_cifar10 import published
from studies.lenet_cifar10.network import LAYERS
from studies.lenet_cifar10.ranges import Range
from studies.lenet_cifar10.scores import Score

Facts = dict[str, Any]  # results.json, or a part of it
Pair = tuple[float, float]

WITHOUT_BIAS = {
    "float": "float",
    "weights": "int8 weights",
    "integer": "int8 weights and activations",
    "integer, logits as accumulators": "the same, logits as int32",
    "zeropoint": "`zp.quantize`",
}
WITH_BIAS = {
    "float": "float",
    "weights": "int8 weights, bias not scaled",
    "not scaled": "all int8, bias not scaled",
    "integer": "all int8, bias at S1 S2",
    "zeropoint": "`zp.quantize`",
}
STEPS = {
    "integer": "the report's",
    "integer, logits as accumulators": "logits left as int32",
    "zeropoint, min-max, per tensor": "zeropoint: unsigned activations",
    "zeropoint, min-max": "and a scale for each output channel",
    "zeropoint": "and MSE ranges: the default recipe",
}
READINGS = {
    "not scaled": "b",
    "at S3": "b / S3",
    "on an int8 grid of its own": "127 b / max abs(b)",
    "not scaled, after M": "b / M",
    "at S1 S2, after M": "b / (S1 S2 M)",
    "integer": "b / (S1 S2)",
}
INPUTS = ("input", *LAYERS[:-1])


def tables(facts: Facts) -> str:
    seeds = facts["seeds"]
    return "\n\n".join(
        [
            "### Ranges",
            ranges(facts["ranges"]),
            "![Histograms of weights and activations](histograms.png)",
            "### The ladder without biases",
            ladder(seeds, "plain", WITHOUT_BIAS, published.ACCURACY["plain"]),
            "### The ladder with a bias in fc3",
            "Trained like the first:",
            ladder(seeds, "biased", WITH_BIAS, published.ACCURACY["biased"]),
            "Trained as briefly as the report's:",
            ladder(seeds, "short", WITH_BIAS, published.ACCURACY["biased"]),
            "### What fc3 adds to its accumulators",
            readings(seeds),
            "### The integer network of seed 0",
            multipliers(facts["layers"]),
            "### From there to the default recipe",
            steps(seeds),
            "### Three sigmas instead of the actual range",
            three_sigmas(seeds),
            "### Calibrators",
            calibrators(seeds),
            chosen(facts["chosen"]),
            describe(Machine(**facts["machine"])),
        ]
    )


def scores(seeds: Facts, *keys: str) -> list[Score]:
    """One score, of every seed."""
    found = []
    for facts in seeds.values():
        for key in keys:
            facts = facts[key]
        found.append(Score(**facts))
    return found


# --- ranges ------------------------------------------------------------------------------------


def ranges(facts: Facts) -> str:
    rows = [
        *range_rows("weights of", facts["weights"], published.WEIGHTS),
        *range_rows("out of", facts["activations"], published.ACTIVATIONS),
    ]
    return markdown_table(
        ("", "actual, published", "actual, here", "3 sigma, published", "3 sigma, here"), rows
    )


def range_rows(
    what: str, found: Facts, printed: Mapping[str, tuple[Pair, Pair]]
) -> Iterable[Sequence[str]]:
    for name, (whole, sigmas) in printed.items():
        ours = Range(**found[name])
        label = name if name == "input" else f"{what} {name}"
        yield (
            label,
            interval(whole),
            interval((ours.low, ours.high)),
            interval(sigmas),
            interval(ours.three_sigma),
        )


def interval(ends: Sequence[float]) -> str:
    return "[{:.3g}, {:.3g}]".format(*ends)


# --- accuracies --------------------------------------------------------------------------------


def ladder(
    seeds: Facts, training: str, names: Mapping[str, str], printed: Mapping[str, str]
) -> str:
    rows = []
    for key, name in names.items():
        found = scores(seeds, training, key)
        rows.append(
            [
                name,
                printed.get(key, ""),
                *(f"{score.percent:.2f}" for score in found),
                f"{mean(score.percent for score in found):.2f}",
                *([""] * 3 if key == "float" else paired(found)),
            ]
        )
    numbers = [f"seed {seed}" for seed in seeds]
    return markdown_table(("%", "published", *numbers, "mean", "change", "gained", "lost"), rows)


def paired(found: Sequence[Score]) -> list[str]:
    """The mean change against float, and the images that make it up."""
    return [
        f"{mean(score.change for score in found):+.2f}",
        f"{mean(score.gained for score in found):.0f}",
        f"{mean(score.lost for score in found):.0f}",
    ]


def readings(seeds: Facts) -> str:
    trainings = ("biased", "short")
    rows = []
    for key, added in READINGS.items():
        cells = [text for training in trainings for text in changes(scores(seeds, training, key))]
        rows.append([added, key if key != "integer" else "at S1 S2", *cells])
    numbers = [f"{training} {column}" for training in trainings for column in (*seeds, "mean")]
    return markdown_table(("the sum gets round of", "bias", *numbers), rows)


def steps(seeds: Facts) -> str:
    rows = []
    for key, name in STEPS.items():
        found = scores(seeds, "plain", key)
        noise = [score.sqnr_db for score in found if score.sqnr_db is not None]
        rows.append(
            [
                name,
                f"{mean(noise):.1f} dB",
                f"{100 * mean(score.agreement for score in found):.2f} %",
                f"{mean(score.ties for score in found):.0f}",
                *paired(found),
            ]
        )
    return markdown_table(
        ("mean of three seeds", "SQNR", "same answer", "ties", "change", "gained", "lost"), rows
    )


def three_sigmas(seeds: Facts) -> str:
    rows = [
        [name, *changes(scores(seeds, "three sigmas", name))]
        for name in next(iter(seeds.values()))["three sigmas"]
    ]
    return markdown_table(("change in points", *(f"seed {seed}" for seed in seeds), "mean"), rows)


def changes(found: Sequence[Score]) -> list[str]:
    """Points of each seed, and their mean."""
    each = [score.change for score in found]
    return [f"{change:+.2f}" for change in (*each, mean(each))]


# --- grids -------------------------------------------------------------------------------------


def multipliers(layers: Facts) -> str:
    rows = [
        [
            name,
            f"{facts['s1']:.5g}",
            f"{facts['s2']:.5g}",
            f"{facts['s3']:.5g}",
            f"{facts['multiplier']:.6f}",
            f"{facts['mantissa']} / 2^{facts['shift']}",
            f"{facts['bound']:,}",
        ]
        for name, facts in layers.items()
    ]
    return markdown_table(("", "S1", "S2", "S3", "M", "m / 2^n", "accumulators below"), rows)


def calibrators(seeds: Facts) -> str:
    """The mean change, and the images gained and lost, by calibrator and bits."""
    first = next(iter(seeds.values()))["calibrators"]
    rows = []
    for name in next(iter(first.values())):
        row = [name]
        for bits in first:
            change, gained, lost = paired(scores(seeds, "calibrators", bits, name))
            row.append(f"{change} ({gained} / {lost})")
        rows.append(row)
    return markdown_table(("change in points", *(f"{bits} bits" for bits in first)), rows)


def chosen(found: Facts) -> str:
    rows = [[name, *map(interval, intervals)] for name, intervals in found.items()]
    return markdown_table(("8 bits, seed 0", *INPUTS), rows)
