from tests.cli.shell import Shell, assert_mistake


def test_a_model_that_does_not_take_the_images_is_named(zeropoint: Shell) -> None:
    source, file = zeropoint.model("for_colours"), zeropoint.file
    outcome = zeropoint("compare", source, file, "--data", zeropoint.data)
    assert_mistake(outcome, f"{source} does not take an input of the shape (1, 1, 8, 8)")
    assert_mistake(zeropoint("bench", source, file), f"{source} does not take an input")


def test_images_of_another_size_are_refused_where_the_network_needs_its_own(
    zeropoint: Shell,
) -> None:
    outcome = zeropoint("evaluate", zeropoint.file, "--data", zeropoint.data, "--size", 20)
    assert_mistake(outcome, "(1, 1, 20, 20)")
