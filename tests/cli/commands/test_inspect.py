import zeropoint as zp
from tests.cli.shell import Shell


def test_inspect_shows_coverage_plan_and_provenance(zeropoint: Shell) -> None:
    outcome = zeropoint("inspect", zeropoint.file)
    assert (outcome.code, outcome.err) == (0, "")
    assert "torch" in outcome.out
    assert "conv" not in zeropoint("inspect", zeropoint.file, "--json").facts


def test_inspect_prints_the_whole_program_when_asked(zeropoint: Shell) -> None:
    outcome = zeropoint("inspect", zeropoint.file, "--program")
    assert str(zp.load(zeropoint.file).program) in outcome.out
