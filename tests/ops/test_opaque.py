import pytest
import torch

from zeropoint.errors import GraphError
from zeropoint.graph.build import float_graph
from zeropoint.ops.opaque import Opaque, resolve, template


def test_an_operator_is_called_by_its_name() -> None:
    x = torch.tensor([-1.0, 2.0])
    assert torch.equal(Opaque("aten.sigmoid.default", (("%", 0),)).run(x), x.sigmoid())


def test_operands_numbers_and_dtypes_are_put_in_their_places() -> None:
    a, b = torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0])
    difference = Opaque("aten.sub.Tensor", (("%", 1), ("%", 0)), (("alpha", 2),))
    assert difference.run(a, b).tolist() == [1.0, 0.0]
    converted = Opaque("aten._to_copy.default", (("%", 0),), (("dtype", ("dtype", "float64")),))
    assert converted.run(a).dtype == torch.float64
    stacked = Opaque("aten.stack.default", (("list", ("%", 0), ("%", 1)), 1))
    assert stacked.run(a, b).tolist() == [[1.0, 3.0], [2.0, 4.0]]
    on_cpu = Opaque("aten.zeros_like.default", (("%", 0),), (("device", ("device", "cpu")),))
    assert on_cpu.run(a).tolist() == [0.0, 0.0]


def test_several_results_come_as_a_tuple_and_a_single_one_by_itself() -> None:
    x = torch.arange(6.0).reshape(1, 6)
    first, second = Opaque("aten.split.Tensor", (("%", 0), 3, 1)).run(x)
    assert (first.tolist(), second.tolist()) == ([[0.0, 1.0, 2.0]], [[3.0, 4.0, 5.0]])
    whole = Opaque("aten.split.Tensor", (("%", 0), 6, 1)).run(x)
    assert torch.equal(whole, x)


def test_a_call_is_taken_apart_and_put_together_again() -> None:
    _, x = float_graph(("N", 3))
    arguments, keywords, operands = template(
        ([x, 2.5], "mean", None), {"dtype": torch.float16, "device": torch.device("cpu"), "w": x}
    )
    assert arguments == (("list", ("%", 0), 2.5), "mean", None)
    assert keywords == (
        ("dtype", ("dtype", "float16")),
        ("device", ("device", "cpu")),
        ("w", ("%", 1)),
    )
    assert operands == [x, x]


@pytest.mark.parametrize(
    "target", ["aten.nonsense.default", "nowhere.sigmoid.default", "aten.sigmoid.sideways", "x"]
)
def test_an_operator_that_torch_does_not_have_is_an_error(target: str) -> None:
    with pytest.raises(GraphError, match=f"torch has no operator '{target}' here|refusing"):
        resolve(target)


@pytest.mark.parametrize(
    "target",
    [
        "aten.relu_.default",  # changes its operand
        "aten.add.out",  # writes into another
        "aten.from_file.default",  # reads a file
        "aten.item.default",  # is no tensor
        "profiler._record_function_enter.default",
    ],
)
def test_an_operator_that_does_more_than_compute_tensors_is_refused(target: str) -> None:
    with pytest.raises(GraphError, match=f"'{target}' is no functional operator on tensors"):
        resolve(target)
    with pytest.raises(GraphError, match="refusing to run it"):
        Opaque(target, (("%", 0),)).check()


@pytest.mark.parametrize("target", ["aten.sigmoid.default", "aten.ones.default"])
def test_an_operator_that_computes_passes_the_check(target: str) -> None:
    Opaque(target).check()
