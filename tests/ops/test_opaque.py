import sys

import pytest
import torch

from zeropoint.errors import GraphError
from zeropoint.graph.build import float_graph
from zeropoint.ops.allowed import ALLOWED
from zeropoint.ops.opaque import Opaque, resolve, template, why_not_allowed


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


NONE = "is none of the operators that a program may call"


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("aten.nonsense.default", NONE),
        ("nowhere.sigmoid.default", NONE),
        ("aten.sigmoid.sideways", "torch has no operator"),
        ("aten.sigmoid", NONE),
        ("x", NONE),
        ("", NONE),
        ("os.system", NONE),
        ("aten.sigmoid.__class__", "torch has no operator"),
        ("aten.sigmoid.op", "torch has no operator"),
        ("inductor._reinterpret_tensor.default", NONE),
        ("aten.as_strided.default", NONE),  # reads what is not its operand's
        ("aten.set.source_Storage", NONE),
        ("aten.from_file.default", NONE),  # reads a file
        ("aten.item.default", NONE),  # is no tensor
        ("aten.bincount.default", NONE),  # is as long as a number in a tensor says
        ("aten.view.dtype", NONE),  # reads bits as another type
        ("aten.relu_.default", NONE),  # changes its operand
        ("aten.add.out", "writes into its operands"),
        ("aten.add_.Tensor", NONE),
        ("profiler._record_function_enter.default", NONE),
    ],
)
def test_an_operator_that_is_not_listed_is_refused(target: str, words: str) -> None:
    with pytest.raises(GraphError, match=words):
        resolve(target)
    with pytest.raises(GraphError, match=words):
        Opaque(target, (("%", 0),)).check()


def functional_overloads() -> list[str]:
    return [
        target
        for name in sorted(ALLOWED)
        for overload in getattr(torch.ops.aten, name).overloads()
        if why_not_allowed(target := f"aten.{name}.{overload}") is None
    ]


def test_every_listed_operator_is_there_and_computes_tensors() -> None:
    found = {target.split(".")[1] for target in functional_overloads()}
    assert found == ALLOWED


@pytest.mark.parametrize("word", ["Storage", "Dict", "Any", "ScriptObject"])
def test_no_listed_operator_takes_an_address_or_an_object(word: str) -> None:
    for target in functional_overloads():
        schema = resolve(target)._schema
        assert not any(word in str(argument.type) for argument in schema.arguments), target


@pytest.mark.parametrize("target", ["aten.sigmoid.default", "aten.ones.default"])
def test_an_operator_that_computes_passes_the_check(target: str) -> None:
    Opaque(target, (("list", 1),) if "ones" in target else (("%", 0),)).check()


# --- arguments -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "op",
    [
        Opaque("aten.sigmoid.default", (("%", -1),)),
        Opaque("aten.sigmoid.default", (("%", 1.0),)),
        Opaque("aten.sigmoid.default", (("%", 0, 0),)),
        Opaque("aten.sigmoid.default", (("%",),)),
        Opaque("aten.sigmoid.default", ((),)),
        Opaque("aten.sigmoid.default", ((("%", 0), 1),)),
        Opaque("aten.sigmoid.default", (("%", 0), 1)),
        Opaque("aten.sigmoid.default", (("%", 0),), (("self", ("%", 0)),)),
        Opaque("aten.sigmoid.default", (("%", 0),), (("nothing", 1),)),
        Opaque("aten._to_copy.default", (("%", 0),), (("dtype", ("dtype", "load")),)),
        Opaque("aten._to_copy.default", (("%", 0),), (("dtype", ("dtype", ["float32"])),)),
        Opaque("aten._to_copy.default", (("%", 0),), (("device", ("device", "cuda")),)),
        Opaque("aten._to_copy.default", (("%", 0),), (("device", ("load", "float32")),)),
        Opaque("aten.ones.default", (("list", 2**40),)),
        Opaque("aten.ones.default", (("list", *[1] * 5000),)),
        Opaque("aten.add.Tensor", (("%", 0), float("nan"))),
        Opaque("aten.conv2d.default", (("%", 0), ("%", 1), None, ("list", 2**31, 1))),
        Opaque("aten.einsum.default", ("a" * 300, ("list", ("%", 0)))),
        Opaque("aten.sigmoid.default", (torch.ones(1),)),
    ],
)
def test_a_call_that_no_capture_writes_is_refused(op: Opaque) -> None:
    with pytest.raises(GraphError, match=op.target):
        op.check()


def test_the_end_of_a_dimension_and_infinities_are_numbers() -> None:
    Opaque("aten.slice.Tensor", (("%", 0), 1, 0, sys.maxsize)).check()
    Opaque("aten.masked_fill.Scalar", (("%", 0), ("%", 1), float("-inf"))).check()


def test_what_is_no_number_is_written_by_its_name() -> None:
    _, x = float_graph(("N", 3))
    arguments, _, _ = template((x, float("nan")), {})
    assert arguments == (("%", 0), ("number", "nan"))
    filled = Opaque("aten.nan_to_num.default", arguments).run(torch.tensor([1.0]))
    assert filled.tolist() == [1.0]


def test_memory_that_nobody_wrote_is_zeros() -> None:
    for op in (
        Opaque("aten.empty.memory_format", (("list", 50, 50),)),
        Opaque("aten.empty_like.default", (("%", 0),)),
        Opaque("aten.new_empty.default", (("%", 0), ("list", 50, 50))),
    ):
        torch.full((50, 50), 7.0)  # what the memory holds next
        assert op.run(torch.ones(50, 50)).count_nonzero() == 0


# --- without contents ----------------------------------------------------------------------------


def test_shapes_and_types_are_found_without_memory() -> None:
    x = torch.empty(2, 3, device="meta")
    zeros = Opaque("aten.zeros.default", (("list", 2**20, 2**20),)).run_on_meta()
    assert (zeros.device.type, zeros.shape) == ("meta", (2**20, 2**20))
    for op in (
        Opaque("aten.zeros_like.default", (("%", 0),), (("device", ("device", "cpu")),)),
        Opaque("aten.to.device", (("%", 0), ("device", "cpu"), ("dtype", "float32"))),
    ):
        assert op.run_on_meta(x).device.type == "meta"
