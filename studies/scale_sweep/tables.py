"""The results as the tables of the page."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import median
from typing import Any

from benchmarks.machine import Machine, describe
from benchmarks.results import markdown_table
from studies.scale_sweep.depth import DEPTHS, VARIANTS
from studies.scale_sweep.norm_factor import Facts

Results = Mapping[str, Any]  # as results.json holds them

WORTHLESS_DB = 3.0
"""An output of zeros has 0 dB, and half of the energy right has 3."""


def tables(results: Results, machine: Machine) -> dict[str, str]:
    """The text of each section of the page, by its marker."""
    return {
        "readings": readings(results["readings"]),
        "explanation": explanation(results["explanation"]),
        "remainder": remainder(results["remainder"]),
        "shapes": shapes(results["shapes"]),
        "depth": depth(results["depth"]),
        "machine": describe(machine),
    }


def readings(photographs: Mapping[str, Mapping[str, Sequence[Facts]]]) -> str:
    return markdown_table(
        ("lost arguments", "photograph", "best factor", "seed 0", "remains", "seed 0"),
        [
            (
                f"`{reading}`",
                photograph.removesuffix(".jpg"),
                spread(seeds, "max_difference_least_at", "{:.1f}".format),
                f"{seeds[0]['max_difference_least_at']:.1f}",
                spread(seeds, "least_max_difference", "{:.3f}".format),
                f"{seeds[0]['least_max_difference']:.3f}",
            )
            for photograph, found in photographs.items()
            for reading, seeds in found.items()
        ],
    )


def explanation(facts: Facts) -> str:
    smaller, larger = (facts["balance"][side] for side in ("smaller", "larger"))
    return markdown_table(
        ("at factor 64", "measured", "from what flooring drops"),
        [
            (
                "mean difference",
                f"{facts['mean']:.5f}",
                f"{facts['mean_from_dropped']:.5f}",
            ),
            ("the same if it dropped half a step", "", f"{facts['mean_from_half_a_step']:.5f}"),
            (
                "greatest difference: a white pixel",
                f"{facts['max']:.5f}",
                f"{facts['max_from_dropped']:.5f}",
            ),
            *(
                (
                    f"factor 5 % {name}: greatest difference, where y = {side['output']:.2f}",
                    f"{side['max']:.3f}",
                    "",
                )
                for name, side in (("smaller", smaller), ("larger", larger))
            ),
        ],
    )


def remainder(variants: Mapping[str, Sequence[Facts]]) -> str:
    return markdown_table(
        ("", "best factor", "greatest |difference|", "seed 0", "mean, seed 0"),
        [
            (
                name,
                spread(seeds, "factor", "{:.1f}".format),
                spread([{"v": max(f["max"], -f["min"])} for f in seeds], "v", "{:.3f}".format),
                f"{max(seeds[0]['max'], -seeds[0]['min']):.3f}",
                f"{seeds[0]['mean']:+.4f}",
            )
            for name, seeds in variants.items()
        ],
    )


def shapes(found: Mapping[str, Sequence[Facts]]) -> str:
    def decibels(seeds: Sequence[Facts], name: str, key: str = "sqnr_db") -> str:
        return spread([facts[name] for facts in seeds], key, "{:.0f}".format)

    return markdown_table(
        (
            "layer",
            "unscaled",
            "best factor",
            "one scale",
            "a scale for each channel",
            "the same, tuned",
            "in integers",
        ),
        [
            (
                name,
                decibels(seeds, "unscaled"),
                best_factor([facts["unscaled"] for facts in seeds]),
                decibels(seeds, "tensor"),
                decibels(seeds, "channel"),
                decibels(seeds, "channel", "tuned_db"),
                decibels(seeds, "network"),
            )
            for name, seeds in found.items()
        ],
    )


def best_factor(seeds: Sequence[Facts]) -> str:
    """The median; none where no factor is much better than an output of zeros."""
    if median(facts["sqnr_db"] for facts in seeds) < WORTHLESS_DB:
        return "none"
    return f"{median(facts['factor'] for facts in seeds):.0f}"


def depth(found: Mapping[str, Sequence[Facts]]) -> str:
    return markdown_table(
        ("layers", *VARIANTS, "bits of the sums", "mean, floored"),
        [
            (
                str(layers),
                *(spread(found[str(layers)], name, "{:.0f}".format) for name in VARIANTS),
                spread(found[str(layers)], "bits", "{:.0f}".format),
                spread(found[str(layers)], "floored_mean", "{:+.2f}".format),
            )
            for layers in DEPTHS
        ],
    )


def spread(seeds: Iterable[Facts], name: str, text: Callable[[float], str]) -> str:
    """The median over the seeds, with the least and the greatest."""
    numbers = [facts[name] for facts in seeds]
    middle, low, high = (text(f(numbers)) for f in (median, min, max))
    return middle if low == high else f"{middle} ({low} to {high})"
