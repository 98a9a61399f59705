import torch

from zeropoint.graph.build import float_graph
from zeropoint.graph.macs import count_macs
from zeropoint.ops.clamp import Clamp
from zeropoint.ops.conv import Conv2d
from zeropoint.ops.linear import Linear
from zeropoint.ops.opaque import Opaque
from zeropoint.ops.shape import Flatten


def test_convolutions_linear_layers_and_islands_are_counted_and_nothing_else() -> None:
    to, x = float_graph(("N", 4, 6, 6))
    weight, bias = to.constant("w", torch.ones(8, 2, 3, 3)), to.constant("b", torch.ones(8))
    y = to.emit(Conv2d(groups=2), x, weight, bias, shape=("N", 8, 4, 4), name="conv")
    y = to.emit(Clamp(0.0), y, shape=y.shape, name="relu")
    y = to.emit(Flatten(), y, shape=("N", 128), name="flat")
    weight, bias = to.constant("v", torch.ones(5, 128)), to.constant("c", torch.ones(5))
    y = to.emit(Linear(), y, weight, bias, shape=("N", 5), name="fc")
    square = to.constant("s", torch.ones(5, 5))
    product = Opaque("aten.mm.default", (("%", 0), ("%", 1)))
    graph = to.done([to.emit(product, y, square, shape=("N", 5), name="mm")])
    assert count_macs(graph, [torch.zeros(1, 4, 6, 6)]) == {
        "conv": 8 * 4 * 4 * 2 * 3 * 3,
        "fc": 128 * 5,
        "mm": 25,
    }


def test_a_batch_counts_all_its_samples() -> None:
    to, x = float_graph(("N", 3))
    weight, bias = to.constant("w", torch.ones(2, 3)), to.constant("b", torch.ones(2))
    graph = to.done([to.emit(Linear(), x, weight, bias, shape=("N", 2), name="fc")])
    assert count_macs(graph, [torch.zeros(7, 3)]) == {"fc": 7 * 2 * 3}


def test_products_that_torch_has_no_formula_for_are_counted() -> None:
    def counted(target: str, *shapes: tuple[int, ...], rest: tuple[object, ...] = ()) -> int:
        to, x = float_graph(shapes[0])
        others = [to.constant(f"c{i}", torch.zeros(shape)) for i, shape in enumerate(shapes[1:])]
        op = Opaque(target, (*(("%", i) for i in range(len(shapes))), *rest))
        graph = to.done([to.emit(op, x, *others, shape=("N",), name="y")])
        return count_macs(graph, [torch.zeros(shapes[0])])["y"]

    assert counted("aten.mv.default", (4, 6), (6,)) == 24
    assert counted("aten.dot.default", (6,), (6,)) == 6
    assert counted("aten.addmv.default", (4,), (4, 6), (6,)) == 24
    assert counted("aten.addbmm.default", (3, 5), (2, 3, 4), (2, 4, 5)) == 2 * 3 * 4 * 5
    assert counted("aten.conv_tbc.default", (6, 1, 2), (3, 2, 5), (5,)) == 4 * 5 * 3 * 2
    attention = counted("aten.scaled_dot_product_attention.default", *[(1, 2, 16, 8)] * 3)
    assert attention == 2 * 2 * 16 * 16 * 8
    sampled = counted(
        "aten.grid_sampler_2d.default", (1, 3, 8, 8), (1, 4, 4, 2), rest=(0, 0, False)
    )
    assert sampled == 3 * 4 * 4 * 4
