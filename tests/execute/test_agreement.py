import pytest

import zeropoint as zp
from tests.nets import Residual, images, seeded
from zeropoint.execute.agreement import Count, isolated_operators
from zeropoint.execute.reference import Reference


def test_counts_add_up_and_keep_the_worst() -> None:
    assert Count(10, 1, 2) + Count(5, 2, 1) == Count(15, 3, 2)


@pytest.mark.parametrize(
    ("count", "passes"),
    [
        (Count(20_000, 2, 1), True),
        (Count(20_000, 3, 1), False),
        (Count(50, 1, 1), True),
        (Count(50, 2, 1), False),
        (Count(20_000, 1, 2), False),
    ],
)
def test_one_step_in_ten_thousand_integers_passes(count: Count, passes: bool) -> None:
    assert count.passes == passes


def test_an_operator_alone_sees_and_gives_the_integers_of_the_whole() -> None:
    program = zp.quantize(seeded(Residual()), [images()], engine="reference").program
    seen: dict[str, object] = {}
    Reference(program).trace([images(seed=1)], seen.__setitem__)
    operators = isolated_operators(program, Reference)
    assert len(operators) == len(program.graph.nodes) - 2  # but quantize and dequantize
    for operator in operators:
        found = operator.run(operator.inputs(seen))  # type: ignore[arg-type]  # all are tensors
        count = operator.difference(found, seen)  # type: ignore[arg-type]  # as above
        assert count.differing == 0
        assert count.compared == found.numel()
