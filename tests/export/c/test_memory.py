"""Where values live, on steps written by hand."""

from collections.abc import Mapping

from zeropoint.export.c.memory import Memory, Place, lay_out
from zeropoint.export.c.step import Alias, Call, Step


def step(writes: str, *reads: str, overwrites: tuple[str, ...] = ()) -> Step:
    return Step("layer", "operator", writes, (Call("f", "s", {}, reads, writes),), overwrites)


def memory(outputs: list[str], *steps: Step, aliases: Mapping[str, str] | None = None) -> Memory:
    """The memory of steps from x on; every value has ten elements."""
    found: dict[str, Step | Alias] = {each.writes: each for each in steps}
    found |= {name: Alias(of) for name, of in (aliases or {}).items()}
    return lay_out(["x"], outputs, found, dict.fromkeys(["x", *found], (2, 5)))


def test_a_chain_goes_to_and_fro() -> None:
    found = memory(["d"], step("a", "x"), step("b", "a"), step("c", "b"), step("d", "c"))
    assert found.places == {
        "x": Place("input", 0),
        "a": Place("arena", 0),
        "b": Place("arena", 10),
        "c": Place("arena", 0),
        "d": Place("output", 0),
    }
    assert found.arena == 20


def test_a_value_lives_until_its_last_reader() -> None:
    found = memory(["d"], step("a", "x"), step("b", "a"), step("c", "b"), step("d", "c", "a"))
    assert len({found.places[name] for name in "abc"}) == 3
    assert found.arena == 30


def test_an_elementwise_result_takes_the_place_of_its_operand() -> None:
    found = memory(["c"], step("a", "x"), step("b", "a", overwrites=("a",)), step("c", "b", "b"))
    assert found.places["a"] == found.places["b"]
    assert found.arena == 10


def test_an_operand_that_is_needed_later_is_not_overwritten() -> None:
    found = memory(["c"], step("a", "x"), step("b", "a", overwrites=("a",)), step("c", "b", "a"))
    assert found.places["a"] != found.places["b"]


def test_an_operand_that_is_read_elsewhere_in_the_same_step_is_not_overwritten() -> None:
    found = memory(["c"], step("a", "x"), step("b", "a", "a", overwrites=("a",)), step("c", "b"))
    assert found.places["a"] != found.places["b"]


def test_an_input_is_never_overwritten() -> None:
    found = memory(["b"], step("a", "x", overwrites=("x",)), step("b", "a"))
    assert found.places["a"] == Place("arena", 0)


def test_an_operand_of_an_elementwise_output_is_computed_in_the_output() -> None:
    found = memory(["b"], step("a", "x"), step("b", "a", overwrites=("a",)))
    assert found.places["a"] == found.places["b"] == Place("output", 0)
    assert found.arena == 0


def test_a_value_under_another_shape_has_the_same_place() -> None:
    found = memory(["c"], step("a", "x"), step("c", "b"), aliases={"b": "a"})
    assert found.places["a"] == found.places["b"]


def test_an_output_can_be_read_on() -> None:
    found = memory(["a", "b"], step("a", "x"), step("b", "a"))
    assert found.places["a"] == Place("output", 0)
    assert found.copies == ()


def test_inputs_and_values_that_leave_twice_are_copied() -> None:
    found = memory(["x", "a", "b"], step("a", "x"), aliases={"b": "a"})
    assert found.copies == ((0, "x"), (2, "b"))
