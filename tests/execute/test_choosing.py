"""engine="auto" with engines made for the purpose: each has a time, and some compute nonsense."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import zeropoint as zp
from tests.conftest import all_candidates, all_objections
from tests.nets import Islands, Residual, images, seeded
from zeropoint.errors import EngineError
from zeropoint.execute import choosing, engines
from zeropoint.execute.choosing import (
    FASTEST,
    ONLY,
    SLOWER,
    Candidate,
    Choice,
    choose,
    sample_of,
)
from zeropoint.execute.executor import Executor
from zeropoint.execute.reference import Reference
from zeropoint.model import QuantizedModel
from zeropoint.ops.quantize import Quantize
from zeropoint.program.program import Program
from zeropoint.program.provenance import Provenance


@dataclass
class Fake(Executor):
    """The reference, so many seconds long, with each output changed."""

    program: Program
    seconds: float
    change: Callable[[Program, Tensor], Tensor] = lambda program, x: x

    def run(self, inputs: Sequence[Tensor]) -> tuple[Any, ...]:
        return tuple(self.change(self.program, x) for x in Reference(self.program).run(inputs))


def two_steps_off(program: Program, x: Tensor) -> Tensor:
    """Each integer, where an operator is alone; too little to be seen behind a whole network."""
    (name,) = program.graph.outputs
    params = program.graph.values[program.graph.producers[name].inputs[0]].params
    assert params is not None
    return x + 2 * params.scale.max()


def upside_down_as_a_whole(program: Program, x: Tensor) -> Tensor:
    return -x if program.provenance.model else x


def right(program: Program, x: Tensor) -> Tensor:
    return x


@pytest.fixture(scope="module")
def q() -> QuantizedModel:
    return zp.quantize(seeded(Residual()), [images()], engine="reference")


Provide = Callable[..., None]  # engines by name, each as (seconds, change) or a maker


@pytest.fixture
def provide(monkeypatch: pytest.MonkeyPatch) -> Provide:
    """A machine that has these engines and no other."""

    def only(**makers: Any) -> None:  # (seconds, change), or Program -> Executor
        for name, maker in makers.items():
            monkeypatch.setitem(engines._MAKERS, name, maker)
        monkeypatch.setattr(choosing, "candidates", lambda: list(makers))
        monkeypatch.setattr(choosing, "_objection", all_objections)
        monkeypatch.setattr(choosing, "_verified", choosing._Verified())
        monkeypatch.setattr(choosing, "_seconds", lambda executor, inputs: executor.seconds)

    return only


def fake(
    seconds: float, change: Callable[[Program, Tensor], Tensor] = right
) -> Callable[[Program], Executor]:
    return lambda program: Fake(program, seconds, change)


def refusing(program: Program) -> Executor:
    raise EngineError("stem has 5-bit weights")


def broken(program: Program) -> Executor:
    raise AttributeError("'Output' object has no attribute 'name'")


# --- what is chosen ------------------------------------------------------------------------------


def test_the_fastest_engine_is_taken(q: QuantizedModel, provide: Provide) -> None:
    provide(tortoise=fake(0.2), hare=fake(0.1))
    chosen = q.with_engine("auto")
    assert chosen.engine == "hare"
    assert chosen.choice == Choice(
        engine="hare",
        shapes=((1, 3, 8, 8),),
        candidates=(Candidate("hare", 100.0, FASTEST), Candidate("tortoise", 200.0, SLOWER)),
    )
    assert torch.equal(chosen(images()), q(images()))


def test_of_two_about_as_fast_the_one_listed_first_is_taken(
    q: QuantizedModel, provide: Provide
) -> None:
    provide(first=fake(0.100), second=fake(0.095))
    assert q.with_engine("auto").engine == "first"
    provide(first=fake(0.100), second=fake(0.085))
    assert q.with_engine("auto").engine == "second"


def test_an_engine_with_wrong_integers_is_not_taken_however_fast(
    q: QuantizedModel, provide: Provide
) -> None:
    provide(slow=fake(0.2), wrong=fake(0.1, two_steps_off))
    choice = q.with_engine("auto").choice
    assert choice is not None
    assert choice.engine == "slow"
    wrong = choice.candidates[-1]
    assert (wrong.engine, wrong.milliseconds) == ("wrong", 100.0)
    assert wrong.verdict == "stem.0: 512 of 512 integers differ, by up to 2"


def test_an_engine_whose_operators_are_right_but_not_the_whole_is_not_taken(
    q: QuantizedModel, provide: Provide
) -> None:
    provide(slow=fake(0.2), wrong=fake(0.1, upside_down_as_a_whole))
    choice = q.with_engine("auto").choice
    assert choice is not None
    assert choice.engine == "slow"
    assert choice.candidates[-1].verdict.startswith("an output differs by ")


@pytest.mark.parametrize(
    ("maker", "reason"),
    [(refusing, "stem has 5-bit weights"), (broken, "'Output' object has no attribute 'name'")],
)
def test_an_engine_that_cannot_run_the_program_is_left_out_with_its_reason(
    q: QuantizedModel, provide: Provide, maker: Any, reason: str
) -> None:
    provide(other=maker, plain=fake(0.1))
    choice = q.with_engine("auto").choice
    assert choice is not None
    assert choice.engine == "plain"
    assert choice.candidates[-1] == Candidate("other", None, reason)


def test_the_only_usable_engine_is_taken_untimed(q: QuantizedModel, provide: Provide) -> None:
    provide(only=fake(0.1))
    assert q.with_engine("auto").choice == Choice("only", (), (Candidate("only", None, ONLY),))


def test_the_only_usable_engine_is_verified(q: QuantizedModel, provide: Provide) -> None:
    provide(only=fake(0.1, two_steps_off))
    with pytest.warns(RuntimeWarning, match="512 of 512 integers differ") as seen:
        chosen = q.with_engine("auto")
    assert chosen.engine == "reference"
    assert len(seen) == 1


def test_a_loaded_program_is_verified(q: QuantizedModel, provide: Provide, tmp_path: Path) -> None:
    q.save(tmp_path / "model.safetensors")
    provide(only=fake(0.1, upside_down_as_a_whole))
    with pytest.warns(RuntimeWarning, match="an output differs by"):
        assert zp.load(tmp_path / "model.safetensors").engine == "reference"


def test_a_program_that_has_passed_is_not_verified_again(
    q: QuantizedModel, provide: Provide, monkeypatch: pytest.MonkeyPatch
) -> None:
    provide(only=fake(0.1))
    asked: list[str] = []

    def count(program: Program, inputs: Any, name: str, executor: Executor) -> str | None:
        asked.append(name)
        return all_objections(program, inputs, name, executor)

    monkeypatch.setattr(choosing, "_objection", count)
    again = Program(q.program.graph, q.program.islands, q.program.provenance)
    for program in (q.program, q.program, again, q.program):
        assert choose(program)[0] == "only"
    assert asked == ["only", "only"]  # another object may be another program


def test_the_reference_is_the_last_resort_and_warns_why(
    q: QuantizedModel, provide: Provide
) -> None:
    provide(wrong=fake(0.1, two_steps_off), other=refusing)
    with pytest.warns(RuntimeWarning, match="other: stem has 5-bit.*wrong: stem.0: 512 of") as seen:
        chosen = q.with_engine("auto")
    assert seen[0].filename == __file__
    assert chosen.engine == "reference"
    assert torch.equal(chosen(images()), q(images()))


def test_a_program_of_unknown_sizes_is_verified_on_a_sample_of_some_size(
    q: QuantizedModel, provide: Provide
) -> None:
    by_hand = Program(q.program.graph, q.program.islands, Provenance())
    provide(right=fake(0.2), wrong=fake(0.1, two_steps_off))
    name, _, choice = choose(by_hand)
    assert name == "right"
    assert choice.shapes[0][:2] == (1, 3)


def test_an_engine_that_cannot_be_verified_is_not_taken(
    q: QuantizedModel, provide: Provide, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choosing, "SIZES", ())
    provide(only=fake(0.1))
    with pytest.warns(RuntimeWarning, match="no sample of the program's inputs could be made"):
        assert choose(Program(q.program.graph, q.program.islands, Provenance()))[0] == "reference"


# --- what is timed -------------------------------------------------------------------------------


def test_a_batch_of_the_users_is_what_is_timed(q: QuantizedModel, provide: Provide) -> None:
    provide(first=fake(0.2), second=fake(0.1))
    choice = q.with_engine("auto", batch=images(7)).choice
    assert choice is not None
    assert choice.shapes == ((7, 3, 8, 8),)
    assert "engine for inputs of shape (7, 3, 8, 8)" in str(choice)


def test_an_engine_that_is_wrong_in_batches_only_is_not_taken_for_them(
    q: QuantizedModel, provide: Provide
) -> None:
    def wrong_in_batches(program: Program, x: Tensor) -> Tensor:
        return upside_down_as_a_whole(program, x) if len(x) > 1 else x

    provide(slow=fake(0.2), wrong=fake(0.1, wrong_in_batches))
    assert q.with_engine("auto").engine == "wrong"
    assert q.with_engine("auto", batch=images(4)).engine == "slow"


def test_a_batch_that_does_not_fit_the_model_is_refused(q: QuantizedModel) -> None:
    with pytest.raises(EngineError, match=r"has shape \(1, 4, 8, 8\)"):
        q.with_engine("auto", batch=images(1, channels=4))


def test_an_engine_that_was_named_was_not_chosen(q: QuantizedModel) -> None:
    assert q.choice is None


def test_the_sample_covers_the_grid_of_the_input(q: QuantizedModel) -> None:
    sample = sample_of(q.program)
    assert sample is not None
    graph = q.program.graph
    fence = next(node for node in graph.nodes if isinstance(node.op, Quantize))
    params = graph.values[fence.output].params
    assert params is not None
    reference = Reference(q.program)
    seen: dict[str, Any] = {}
    reference.trace(sample, seen.__setitem__)
    assert seen[fence.output].min() <= params.low + 10
    assert seen[fence.output].max() >= params.high - 10


# --- the engines that there are ------------------------------------------------------------------


@pytest.mark.parametrize("make", [Residual, Islands])
def test_auto_chooses_among_the_engines_of_this_machine(
    make: Callable[[], torch.nn.Module], monkeypatch: pytest.MonkeyPatch
) -> None:
    usable = [engine.name for engine in zp.engines() if engine.usable]
    monkeypatch.setattr(choosing, "candidates", all_candidates)
    with warnings.catch_warnings(record=True):  # where there is no engine but the reference
        warnings.simplefilter("always")
        q = zp.quantize(seeded(make()), [images()])
    assert q.engine in usable
    assert q.choice is not None
    assert q.choice.engine == q.engine
    expected = q.with_engine("reference")(images(seed=1))
    assert (q(images(seed=1)) - expected).abs().max() <= 0.05 * expected.abs().max()


def test_the_candidates_are_the_usable_engines_but_the_reference() -> None:
    names = [engine.name for engine in zp.engines() if engine.usable]
    assert all_candidates() == [name for name in names if name != "reference"]
