import math

import pytest
import torch
from torch import Tensor, nn

from zoo.peers import (
    ONEDNN,
    Prepared,
    Row,
    Samples,
    Whole,
    compared,
    outputs_of,
    prepare,
    sqnr,
    sqnr_on,
)


def test_the_worst_output_counts() -> None:
    one, two = torch.ones(4), 10 * torch.ones(4)
    assert sqnr([one, two], [one, two]) == math.inf
    assert round(sqnr([one, two], [1.1 * one, two]), 2) == 20.0
    assert sqnr([torch.zeros(4)], [one]) == 0.0


def test_outputs_are_the_tensors_of_whatever_is_returned() -> None:
    nested = {"a": torch.ones(2), "b": [torch.zeros(1).numpy(), None], "c": torch.ones(1).long()}
    assert [tuple(y.shape) for y in outputs_of(nested)] == [(2,), (1,)]


def samples(*expected: Tensor) -> Samples:
    """One sample for each of these outputs; it is the output itself."""
    return Samples(expected, [[y] for y in expected])


def test_an_engine_that_raises_is_a_row() -> None:
    def fails(x: Tensor) -> object:
        raise RuntimeError("\x1b[96mout of memory\x1b[0m\nand more")

    assert compared("x", fails, samples(torch.ones(1)), 1.0) == Row(
        "x", "RuntimeError: out of memory"
    )


def test_other_shapes_and_infinities_are_failures() -> None:
    two = samples(torch.ones(2, 3), torch.ones(2, 3))
    shapes = compared("x", lambda x: torch.ones(2, 4), two, 1.0)
    assert shapes == Row("x", "ValueError: its outputs have the shapes [(2, 4)]")
    infinite = compared("x", lambda x: torch.full((2, 3), math.inf), two, 1.0)
    assert infinite == Row("x", "ValueError: an output is not finite")


def test_an_engine_that_runs_keeps_its_call_and_its_error() -> None:
    prepared = compared(ONEDNN, lambda x: 1.1 * x, samples(torch.ones(4)), 1.0)
    assert isinstance(prepared, Prepared)
    assert prepared.row == Row(ONEDNN, prepare_seconds=1.0, sqnr_db=20.0)


def test_the_error_is_that_of_all_samples_together() -> None:
    both = samples(torch.ones(4), torch.zeros(2))
    decibel = sqnr_on(both, lambda x: x + 0.1 if x.any() else x + 0.3)
    assert decibel == pytest.approx(10 * math.log10(4 / (4 * 0.01 + 2 * 0.09)))


def test_outputs_may_have_another_length_for_each_sample() -> None:
    assert sqnr_on(samples(torch.ones(1, 4), torch.ones(1, 7)), lambda x: x) == math.inf


def test_an_engine_may_use_the_memory_of_its_output_again() -> None:
    y = torch.empty(4)
    two = samples(torch.ones(4), 3 * torch.ones(4))
    assert sqnr_on(two, lambda x: y.copy_(x)) == math.inf


def test_a_sequential_is_wrapped_for_the_peers() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3)).eval()
    x = torch.randn(2, 3, 8, 8)
    with torch.no_grad():
        expected: list[Tensor] = [model(x)]
        assert torch.equal(Whole(model)(x), expected[0])
    attempt = prepare("torch eager float", model, [x], Samples([x], [expected]), 1)
    assert isinstance(attempt, Prepared)
    assert attempt.row.sqnr_db is None
