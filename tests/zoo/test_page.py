from typing import Any

from benchmarks.results import filled
from zoo.page import (
    PAGE,
    failures_table,
    headlines,
    integers_table,
    islands_table,
    metrics_table,
    speed_table,
)

COVERAGE = {
    "layers": 9,
    "integer_layers": 8,
    "macs": 100,
    "integer_macs": 97,
    "share_of_macs": 0.97,
    "islands": [{"operator": "softmax", "reason": "it compares", "count": 2, "first": "head"}],
}
VERIFY = {"passes": True, "integers": 500, "differing": 1, "failure": "", "worst": "add x"}


def row(engine: str, **values: Any) -> dict[str, Any]:
    empty = dict.fromkeys(("prepare_seconds", "sqnr_db", "milliseconds"))
    speeds = dict.fromkeys(("speed_vs_float", "speed_vs_openvino"))
    return {"engine": engine, "failure": "", **empty, **speeds, **values}


def result(name: str, **values: Any) -> dict[str, Any]:
    return {
        "name": name,
        "source": "zoo",
        "weights": "seeded",
        "convolutional": True,
        "shape": [3, 8, 8],
        "macs": 2_000_000,
        "batch": 16,
        "coverage": COVERAGE,
        "sqnr_db": 30.0,
        "quantize_seconds": 4.0,
        "peak_mebibytes": 500,
        "verify": VERIFY,
        "engines": [
            row("zeropoint onednn", milliseconds=2.0, speed_vs_float=2.0, speed_vs_openvino=0.9),
            row("torch.compile float", milliseconds=4.0),
            row("openvino int8", milliseconds=1.8, sqnr_db=28.0),
            row("onnxruntime int8", failure="RuntimeError: no"),
        ],
        **values,
    }


def test_the_headlines_say_what_the_goals_come_to() -> None:
    slow = [row("zeropoint onednn", milliseconds=5.0, speed_vs_float=0.5, speed_vs_openvino=0.4)]
    low = {**COVERAGE, "share_of_macs": 0.5}
    text = "\n".join(
        headlines(
            [
                result("good"),
                result("low", coverage=low, engines=slow, sqnr_db=None),
                {"name": "bad", "failures": {"quantize": "CaptureError: no"}},
            ]
        )
    )
    assert "2 of 3 networks are quantized and run as they are (66.7 %)." in text
    assert "networks of convolutions under 95 %: 1 (low)" in text
    assert "SQNR against openvino int8, 1 networks: +2.0 dB in the median" in text
    assert (
        "torch.compile float, 2 networks: geometric mean 1.00x, median 1.25x; under 1x: 1 (low)"
        in text
    )


def test_without_results_there_is_one_sentence() -> None:
    assert headlines([]) == ["None of 0 networks ran."]


def test_the_engine_that_auto_takes_is_what_counts() -> None:
    auto = row("zeropoint auto", milliseconds=1.0, speed_vs_float=4.0, speed_vs_openvino=1.8)
    found = result("net", auto={"engine": "openvino", "candidates": {}})
    found["engines"] = [*found["engines"], auto]
    assert "| net | 16 | 4.00 | 2.00 | 1.00 | 1.80 | fails | 4.00x | 1.80x |" in speed_table(
        [found]
    )


def test_where_auto_takes_onednn_its_name_stands_in_its_place() -> None:
    found = result("net", auto={"engine": "onednn", "candidates": {}})
    assert "| net | 16 | 4.00 | 2.00 | onednn | 1.80 | fails | 2.00x | 0.90x |" in speed_table(
        [found]
    )


def test_a_row_tells_what_runs_in_integers_and_how_exactly() -> None:
    expected = (
        "| net | zoo | seeded | 3x8x8 | 2 | 97.00 % | 8 of 9 | 2 | 30.0 | 28.0 | fails "
        "| 1 of 500 | 4.0 s | 500 MiB |"
    )
    assert expected in integers_table([result("net")])


def test_an_engine_that_differs_from_the_reference_is_told() -> None:
    table = integers_table([result("net", verify={**VERIFY, "passes": False})])
    assert "1 of 500, FAILS at add x" in table


def test_islands_are_counted_over_the_networks() -> None:
    table = islands_table([result(f"net{number}") for number in range(6)])
    assert "| softmax | it compares | 12 | net0, net1, net2, net3 and 2 more |" in table


def test_what_failed_is_listed_with_its_error() -> None:
    found = result("net", failures={"metric": "OSError: gone"})
    table = failures_table([found])
    assert "| net | metric | OSError: gone |" in table
    assert "| net | onnxruntime int8 | RuntimeError: no |" in table


def test_metrics_have_a_line_each() -> None:
    assert "| net | right, % | 91.5 |" in metrics_table([result("net", metric={"right, %": 91.5})])


def test_the_page_has_a_place_for_every_text() -> None:
    names = ("machine", "headlines", "integers", "speed", "islands", "failures", "pretrained")
    page = filled(PAGE.read_text(encoding="utf-8"), dict.fromkeys(names, "text"))
    assert page.count("\ntext\n") == len(names)
