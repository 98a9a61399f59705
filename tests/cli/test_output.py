from zeropoint.cli.output import finite


def test_json_has_null_for_what_it_cannot_say() -> None:
    assert finite({"a": [float("inf"), 1.5], "b": float("nan")}) == {"a": [None, 1.5], "b": None}
