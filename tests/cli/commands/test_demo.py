from tests.cli.shell import Shell, assert_mistake


def test_a_file_that_cannot_be_written_is_refused_before_the_training(zeropoint: Shell) -> None:
    outcome = zeropoint("demo", "--out", zeropoint.folder / "nowhere" / "net.safetensors")
    assert_mistake(outcome, "net.safetensors cannot be written: No such file or directory")
