import warnings

import zeropoint.notice
from zeropoint.notice import warn


def test_a_warning_points_at_the_users_line() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn("watch out", RuntimeWarning)
    (one,) = caught
    assert (str(one.message), one.category) == ("watch out", RuntimeWarning)
    assert one.filename == __file__


def test_frames_of_the_package_are_passed_over() -> None:
    source = "def inside(call):\n    call('from within')\n"
    namespace = {"__name__": "zeropoint.somewhere"}
    exec(compile(source, zeropoint.notice.__file__, "exec"), namespace)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        namespace["inside"](warn)  # type: ignore[operator]  # a function, made above
    assert caught[0].filename == __file__
