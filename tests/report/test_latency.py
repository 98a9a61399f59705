import time

from zeropoint.report.latency import WARM_UP, interleaved


def test_calls_take_turns_so_that_noise_hits_all_alike() -> None:
    order: list[str] = []
    interleaved({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, rounds=3)
    assert order == ["a"] * WARM_UP + ["b"] * WARM_UP + ["a", "a", "b", "b"] * 3


def test_the_median_is_in_milliseconds() -> None:
    times = interleaved({"slow": lambda: time.sleep(0.01), "fast": lambda: None}, rounds=3)
    assert 9 < times["slow"] < 100
    assert times["fast"] < times["slow"]
