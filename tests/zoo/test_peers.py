import math

import torch
from torch import Tensor, nn

from zoo.peers import ONEDNN, Prepared, Row, Whole, compared, outputs_of, prepare, sqnr


def test_the_worst_output_counts() -> None:
    one, two = torch.ones(4), 10 * torch.ones(4)
    assert sqnr([one, two], [one, two]) == math.inf
    assert round(sqnr([one, two], [1.1 * one, two]), 2) == 20.0
    assert sqnr([torch.zeros(4)], [one]) == 0.0


def test_outputs_are_the_tensors_of_whatever_is_returned() -> None:
    nested = {"a": torch.ones(2), "b": [torch.zeros(1).numpy(), None], "c": torch.ones(1).long()}
    assert [tuple(y.shape) for y in outputs_of(nested)] == [(2,), (1,)]


def test_an_engine_that_raises_is_a_row() -> None:
    def fails() -> object:
        raise RuntimeError("out of memory\nand more")

    assert compared("x", fails, [], 1.0) == Row("x", "RuntimeError: out of memory")


def test_other_shapes_and_infinities_are_failures() -> None:
    expected = [torch.ones(2, 3)]
    shapes = compared("x", lambda: torch.ones(2, 4), expected, 1.0)
    assert shapes == Row("x", "its outputs have the shapes [(2, 4)]")
    infinite = compared("x", lambda: torch.full((2, 3), math.inf), expected, 1.0)
    assert infinite == Row("x", "an output is not finite")


def test_an_engine_that_runs_keeps_its_call_and_its_error() -> None:
    prepared = compared(ONEDNN, lambda: 1.1 * torch.ones(4), [torch.ones(4)], 1.0)
    assert isinstance(prepared, Prepared)
    assert prepared.row == Row(ONEDNN, prepare_seconds=1.0, sqnr_db=20.0)


def test_a_sequential_is_wrapped_for_the_peers() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3)).eval()
    x = torch.randn(2, 3, 8, 8)
    with torch.no_grad():
        expected: list[Tensor] = [model(x)]
        assert torch.equal(Whole(model)(x), expected[0])
    attempt = prepare("torch eager float", model, [x], x, expected, 1)
    assert isinstance(attempt, Prepared)
    assert attempt.row.sqnr_db is None
