from tests.cli.shell import Shell, assert_mistake


def test_an_output_folder_that_is_missing_is_named_before_any_work(zeropoint: Shell) -> None:
    out = zeropoint.folder / "nowhere" / "a.safetensors"
    outcome = zeropoint("quantize", "no_such_module:f", "--data", "./nowhere", "--out", out)
    assert_mistake(outcome, f"{zeropoint.folder / 'nowhere'} is no folder")
