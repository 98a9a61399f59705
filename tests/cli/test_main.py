from tests.cli.shell import Shell, assert_mistake


def test_help_names_every_command(zeropoint: Shell) -> None:
    outcome = zeropoint("--help")
    assert outcome.code == 0
    commands = ("demo", "quantize", "compare", "report", "evaluate", "bench", "inspect")
    for command in (*commands, "export", "verify"):
        assert command in outcome.out


def test_mistakes_in_the_command_line_are_one_sentence(zeropoint: Shell) -> None:
    assert_mistake(zeropoint("quantise"), "quantise", "quantize")
    assert_mistake(zeropoint("evaluate", "a.safetensors"), "--data")
    assert_mistake(zeropoint("evaluate", "a.safetensors", "--dta", "x"), "--dta", "--data")
    assert_mistake(zeropoint("evaluate", "a", "--data", "b", "--size", "big"), "224x320")
    assert_mistake(zeropoint("evaluate", "a", "--data", "b", "--mean", "0,5;1"), "0.485,0.456,0.4")
