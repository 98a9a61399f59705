import pytest

from zeropoint.report.page.html.words import (
    GAP,
    MISSING,
    bare,
    counted,
    decibels,
    gain,
    megabytes,
    milliseconds,
    percent,
    sentence,
)


def plain(text: str) -> str:
    return text.replace(GAP, " ").replace("\N{MINUS SIGN}", "-")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (decibels(31.249), "31.2 dB"),
        (decibels(-3.0), "-3.0 dB"),
        (gain(0.254), "+0.25 dB"),
        (gain(-0.254), "-0.25 dB"),
        (percent(0.98765), "98.77 %"),
        (percent(0.0), "0 %"),
        (percent(0.00001), "< 0.01 %"),
        (percent(0.5, 0), "50 %"),
        (megabytes(398_000), "0.398 MB"),
        (megabytes(6_510_000), "6.51 MB"),
        (megabytes(102_500_000), "102.5 MB"),
        (milliseconds(1.234), "1.23 ms"),
        (milliseconds(22.44), "22.4 ms"),
        (milliseconds(2705.9), "2,706 ms"),
        (counted(1, "layer"), "1 layer"),
        (counted(1200, "layer"), "1,200 layers"),
    ],
)
def test_numbers_carry_their_units(text: str, expected: str) -> None:
    assert plain(text) == expected


def test_what_is_unknown_is_a_dash() -> None:
    assert {decibels(None), gain(None), percent(None)} == {MISSING}


def test_a_number_alone_has_lost_its_unit() -> None:
    assert bare(decibels(31.2)) == "31.2"
    assert bare(MISSING) == MISSING


def test_findings_become_sentences() -> None:
    assert sentence("one channel is dead") == "One channel is dead."
    assert sentence("Is it?") == "Is it?"
    assert sentence(" ") == ""
