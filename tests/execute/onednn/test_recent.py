"""Values by their latest keys."""

from zeropoint.execute.onednn.recent import Recent


def test_a_value_is_made_once() -> None:
    recent: Recent[int, object] = Recent(2)
    first = recent.get(1, object)
    assert recent.get(2, object) is not first
    assert recent.get(1, object) is first


def test_what_was_asked_for_least_recently_goes() -> None:
    recent: Recent[int, object] = Recent(2)
    one, two = recent.get(1, object), recent.get(2, object)
    assert recent.get(1, object) is one
    recent.get(3, object)
    assert len(recent) == 2
    assert recent.get(1, object) is one
    assert recent.get(2, object) is not two
