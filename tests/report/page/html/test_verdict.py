import pytest

from tests.report.page.documents import Json, comparison, made_up
from zeropoint.report.page.html.verdict import headline, speed_up, standard_error, summary, tiles


def document(**changes: object) -> Json:
    return {**made_up(6), "model": "Net", "comparison": {**comparison(), **changes}}


def plain(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ").replace("\N{MULTIPLICATION SIGN}", "x")


def test_a_loss_beyond_two_standard_errors_is_a_loss() -> None:
    assert standard_error(comparison()) == pytest.approx(100 * 30**0.5 / 1000)
    expected = "Net loses 2.00 points of accuracy: 91.00 % in int8, 93.00 % in float."
    assert plain(headline(document())) == expected


def test_a_change_within_the_noise_keeps_the_accuracy() -> None:
    data = document(int8_accuracy=0.929, flips={"gained": 3, "lost": 4})
    assert plain(headline(data)) == "Net keeps its accuracy: 92.90 % in int8, 93.00 % in float."


def test_a_gain_is_called_one() -> None:
    data = document(int8_accuracy=0.95, flips={"gained": 22, "lost": 2})
    assert headline(data).startswith("Net gains 2.00 points")


def test_without_labels_the_decisions_speak() -> None:
    data = document(float_accuracy=None, int8_accuracy=None, flips=None)
    expected = "Net decides alike in int8 and in float on 97.00 % of the samples."
    assert plain(headline(data)) == expected
    assert summary(data).startswith("The accuracy is unknown, since the data came without labels.")
    assert tiles(data)[0].value == "unknown"


def test_without_decisions_the_output_speaks() -> None:
    data = document(float_accuracy=None, int8_accuracy=None, flips=None, agreement=None)
    assert "31.2 dB" in plain(headline(data))
    assert summary(data).startswith("The accuracy is unknown: it needs labels and")
    assert [tile.label for tile in tiles(data)][1] == "Output, SQNR"


def test_the_gains_are_measured_against_the_fastest_float() -> None:
    assert speed_up(comparison(), 1) == 3.0
    expected = (
        "3.96x smaller, 3.00x faster at batch 1, 99.0 % of the multiply-accumulates in integers."
    )
    assert plain(summary(document())) == expected


def test_a_network_that_became_slower_says_so() -> None:
    data = document(latency={"float eager": {"1": 1.0}, "int8": {"1": 2.0}})
    assert "2.00x slower at batch 1" in plain(summary(data))
    assert "2.00x slower" in plain(tiles(data)[3].notes[0])


def test_what_was_not_timed_is_not_shown() -> None:
    data = document(latency={})
    assert "batch" not in summary(data)
    assert not any("Latency" in tile.label for tile in tiles(data))


def test_flips_and_the_uncertainty_stand_beside_the_accuracy() -> None:
    notes = " ".join(tiles(document())[0].notes)
    assert "\N{MINUS SIGN}2.00 \N{PLUS-MINUS SIGN} 0.55 points" in notes
    assert "5 gained, 25 lost" in notes
