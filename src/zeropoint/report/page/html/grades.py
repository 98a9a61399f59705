"""How bad a number is, in seven grades: 0 is worst. Each grade has a colour in style.css."""

from bisect import bisect_right

SQNR_STEPS = (10.0, 15.0, 20.0, 25.0, 30.0, 40.0)
SQNR_SCALE = ("< 10", "10", "15", "20", "25", "30", "40+ dB")

EFFECT_STEPS = (0.03, 0.1, 0.3, 0.6, 1.0, 3.0)
EFFECT_SCALE = ("3+ dB", "1", "0.6", "0.3", "0.1", "0.03", "< 0.03")

BEST = len(SQNR_STEPS)


def sqnr_grade(decibels: float | None) -> int:
    """The grade of an SQNR; none is no error."""
    return BEST if decibels is None else bisect_right(SQNR_STEPS, decibels)


def effect_grade(decibels: float | None) -> int:
    """The grade of what the output loses."""
    return BEST if decibels is None else BEST - bisect_right(EFFECT_STEPS, decibels)
