"""The words of the report, explained once: by tooltips, and at the end of the page."""

GLOSSARY = {
    "sqnr": (
        "SQNR, signal to quantization noise ratio",
        "Ten times the logarithm of the power of the float values over the power of int8's "
        "difference from them, in decibels: 20 dB is an error of 10 %, 40 dB of 1 %. One bit more "
        "is worth 6 dB. Higher is better.",
    ),
    "own": (
        "Own error",
        "The SQNR of a layer if its operands came without an error: only what the layer adds, by "
        "rounding its weights and its bias, and by clipping and rounding its result.",
    ),
    "inherited": (
        "Inherited error",
        "What the errors of the layers before become in this one. Where it is most of the error, "
        "look further up.",
    ),
    "split": (
        "Error by its parts",
        "The energy of each part of a layer's error, as a share of their sum: inherited, weight, "
        "bias, clipping, rounding.",
    ),
    "weight": (
        "Weight error",
        "The weights are rounded to 8 bits (or fewer), each output channel with its own scale.",
    ),
    "bias": (
        "Bias error",
        "The bias is rounded to an int32 at the scale of the accumulator; hardly ever visible.",
    ),
    "clipping": (
        "Clipping",
        "Values beyond the ends of the grid become its ends. Much clipping asks for a wider range: "
        "another calibrator, or more images to calibrate with.",
    ),
    "rounding": (
        "Rounding",
        "Values between two steps of the grid become one of them. Much rounding asks for a "
        "narrower range, which clips more, or for more bits.",
    ),
    "saturated": (
        "Saturated",
        "The share of a layer's values that lie beyond the ends of its grid. A few outliers are "
        "often worth clipping, since all others are rounded more finely for it.",
    ),
    "codes": (
        "Codes used",
        "How many of the grid's integers occur at all. Few of 256 mean that the range is far wider "
        "than the data.",
    ),
    "effect": (
        "Effect on the output",
        "What the SQNR of the network's output gains if this layer alone is computed in float and "
        "all others in int8: measured, not predicted. The layers at the top of this column are "
        "worth a change.",
    ),
    "alone": (
        "Only this in int8",
        "The SQNR of the network's output if this layer alone is computed in int8 and all others "
        "in float.",
    ),
    "macs": (
        "Multiply-accumulates",
        "The layer's share of the network's work: what is lost in speed if it stays float.",
    ),
    "flips": (
        "Flips",
        "Samples whose answer is right in only one of the two networks: gained in int8, or lost.",
    ),
    "agreement": (
        "Same decision",
        "The share of samples for which float and int8 have the same greatest output, whatever "
        "the label says.",
    ),
    "coverage": (
        "In integers",
        "The share of the multiply-accumulates that run in int8. What stays float is named with "
        "its reason.",
    ),
    "calibrator": (
        "Calibrator",
        "The rule that chooses the range of a grid from the data: the extremes, a percentile, or "
        "the least simulated error. The ranges drawn are what each would choose here.",
    ),
    "channels": (
        "Dead and outlying channels",
        "A dead channel is zero on all samples. An outlying one is far larger than the median "
        "channel, and takes the steps of the grid away from all others.",
    ),
}
"""What a term is called in full and what it means, by its key in the page."""
