from tests.cli.shell import Shell


def test_bench_measures_latency(zeropoint: Shell) -> None:
    outcome = zeropoint("bench", zeropoint.source, zeropoint.file)
    assert (outcome.code, outcome.err) == (0, "")
    assert "ms" in outcome.out
    assert zeropoint("bench", zeropoint.source, zeropoint.file, "--json").facts
