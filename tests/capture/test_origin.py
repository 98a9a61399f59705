from collections.abc import Callable

from zeropoint.capture.origin import users_line


def failing(function: Callable[[], object]) -> BaseException:
    try:
        function()
    except Exception as error:
        return error
    raise AssertionError("it should have failed")


def test_the_innermost_line_of_the_user_is_found() -> None:
    def inner() -> float:
        return 1 / 0  # here

    line = users_line(failing(lambda: inner()))
    assert line.startswith("test_origin.py:")
    assert line.endswith("'return 1 / 0  # here'")


def test_a_line_may_stand_in_the_message_only() -> None:
    error = RuntimeError('File "/home/me/net.py", line 7, in forward\n    return x.item()\n')
    assert users_line(error) == "net.py:7  return x.item()"


def test_there_may_be_no_line_at_all() -> None:
    assert users_line(RuntimeError("no idea")) == ""
