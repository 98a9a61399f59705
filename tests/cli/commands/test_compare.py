from tests.cli.shell import Shell


def test_compare_shows_both_networks(zeropoint: Shell) -> None:
    command = ("compare", zeropoint.source, zeropoint.file, "--data", zeropoint.data)
    outcome = zeropoint(*command, "--no-latency")
    assert (outcome.code, outcome.err) == (0, "")
    assert "accuracy" in outcome.out
    facts = zeropoint(*command, "--no-latency", "--json").facts
    assert {"float_accuracy", "int8_accuracy", "agreement", "flips", "size_ratio"} <= set(facts)
