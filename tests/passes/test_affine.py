import torch

from zeropoint.graph.build import Builder, float_graph
from zeropoint.graph.graph import Graph
from zeropoint.graph.op import Op
from zeropoint.graph.value import Shape, Value
from zeropoint.ops.add import Add
from zeropoint.ops.batch_norm import BatchNorm
from zeropoint.ops.mul import Mul
from zeropoint.ops.table import Table
from zeropoint.passes.affine import Affine, affine_of

IMAGE: Shape = ("N", 3, "H", "W")
CHANNELS = torch.tensor([1.0, -2.0, 3.0])


def found(op: Op, *operands: Value, to: Builder, shape: Shape = IMAGE) -> Affine | None:
    y = to.emit(op, *operands, shape=shape, name="y")
    graph: Graph = to.done([y])
    return affine_of(graph, graph.nodes[-1])


def test_a_batch_norm_has_factors_and_offsets_along_the_channels() -> None:
    to, x = float_graph(IMAGE)
    parameters = [to.constant(name, CHANNELS.abs()) for name in ("g", "b", "m", "v")]
    affine = found(BatchNorm(0.0), x, *parameters, to=to)
    assert affine is not None
    assert (affine.x, affine.axis) == ("x", 1)
    torch.testing.assert_close(affine.factor, CHANNELS.abs().double().sqrt())


def test_a_product_with_a_constant_for_each_channel_is_one() -> None:
    for shape in ((3, 1, 1), (1, 3, 1, 1)):
        to, x = float_graph(IMAGE)
        affine = found(Mul(), to.constant("c", CHANNELS.reshape(shape)), x, to=to)
        assert affine is not None
        assert (affine.x, affine.axis) == ("x", 1)
        assert affine.factor.tolist() == CHANNELS.tolist()
        assert affine.offset.tolist() == [0.0, 0.0, 0.0]


def test_a_sum_with_a_constant_has_its_factor_where_alpha_is() -> None:
    to, x = float_graph(("N", 3))
    affine = found(Add(alpha=-1.0), x, to.constant("c", CHANNELS), to=to, shape=("N", 3))
    assert affine is not None
    assert affine.factor.tolist() == [1.0, 1.0, 1.0]
    assert affine.offset.tolist() == [-1.0, 2.0, -3.0]
    to, x = float_graph(("N", 3))
    affine = found(Add(alpha=-1.0), to.constant("c", CHANNELS), x, to=to, shape=("N", 3))
    assert affine is not None
    assert affine.factor.tolist() == [-1.0, -1.0, -1.0]
    assert affine.offset.tolist() == CHANNELS.tolist()


def test_a_table_of_sums_and_products_has_one_factor_for_all() -> None:
    to, x = float_graph(IMAGE)
    affine = found(Table((("mul", "x", 2.0), ("add", "x1", -1.0))), x, to=to)
    assert affine is not None
    assert affine.axis is None
    factor, offset = affine.along(3)
    assert (factor.tolist(), offset.tolist()) == ([2.0] * 3, [-1.0] * 3)


def test_the_axis_may_be_any() -> None:
    to, x = float_graph(("N", 5, 3))
    affine = found(Mul(), x, to.constant("c", CHANNELS), to=to, shape=("N", 5, 3))
    assert affine is not None
    assert affine.axis == 2


def test_other_operators_and_other_constants_are_none() -> None:
    to, x = float_graph(IMAGE)
    other = to.input("y", IMAGE)
    plane = to.constant("plane", torch.ones(3, 4, 4))
    column = to.constant("column", CHANNELS.reshape(3, 1, 1))
    assert found(Table((("silu", "x"),)), x, to=to) is None
    assert found(Mul(), x, other, to=to) is None
    assert found(Mul(), x, plane, to=to) is None
    assert found(Mul(0.0), x, column, to=to) is None
    assert found(Add(None, 1.0), x, column, to=to) is None


def test_a_constant_that_enlarges_its_operand_is_none() -> None:
    to, x = float_graph(("N", 1, 4, 4))
    wide = to.constant("wide", CHANNELS.reshape(3, 1, 1))
    assert found(Mul(), x, wide, to=to, shape=("N", 3, 4, 4)) is None
