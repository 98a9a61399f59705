import json

from tests.cli.shell import Shell, assert_mistake


def test_report_writes_a_page_and_the_same_numbers_as_json(zeropoint: Shell) -> None:
    out = zeropoint.folder / "page.html"
    command = ("report", zeropoint.source, zeropoint.file, "--data", zeropoint.data, "--out", out)
    outcome = zeropoint(*command, "--no-latency", "--analysed", 4)
    assert (outcome.code, outcome.err) == (0, "")
    assert f"Wrote {out}" in outcome.out
    assert out.read_text().startswith("<!doctype html>")
    facts = json.loads(out.with_suffix(".json").read_text())
    assert facts["comparison"]["samples"] == 10
    assert facts["samples"] == 4


def test_report_prints_only_json_when_asked(zeropoint: Shell) -> None:
    out = zeropoint.folder / "page.html"
    command = ("report", zeropoint.source, zeropoint.file, "--data", zeropoint.data, "--out", out)
    facts = zeropoint(*command, "--no-latency", "--samples", 4, "--json").facts
    assert facts["comparison"]["samples"] == 4
    assert facts == json.loads(out.with_suffix(".json").read_text())


def test_a_report_that_cannot_be_written_is_refused_before_any_work(zeropoint: Shell) -> None:
    out = zeropoint.folder / "nowhere" / "page.html"
    outcome = zeropoint("report", "no_such_module:f", "a", "--data", "./nowhere", "--out", out)
    assert_mistake(outcome, f"{out} cannot be written")
