from zeropoint.report.page.html.grades import (
    BEST,
    EFFECT_SCALE,
    SQNR_SCALE,
    effect_grade,
    sqnr_grade,
)


def test_the_grades_run_from_worst_to_best() -> None:
    assert [sqnr_grade(x) for x in (3.0, 12.0, 17.0, 22.0, 27.0, 35.0, 50.0)] == list(range(7))
    assert [effect_grade(x) for x in (4.0, 2.0, 0.7, 0.4, 0.2, 0.05, 0.0)] == list(range(7))


def test_no_error_and_no_effect_are_best() -> None:
    assert sqnr_grade(None) == effect_grade(None) == effect_grade(-1.0) == BEST


def test_each_grade_has_a_label() -> None:
    assert len(SQNR_SCALE) == len(EFFECT_SCALE) == BEST + 1
