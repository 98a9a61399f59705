from typing import Any

import pytest
import torch

from zeropoint.arithmetic.granularity import PerChannel
from zeropoint.assign import Assignment, assign
from zeropoint.errors import RecipeError
from zeropoint.graph.build import Builder, float_graph
from zeropoint.graph.graph import Origin
from zeropoint.graph.op import Op
from zeropoint.graph.structure import Leaf, Nest
from zeropoint.graph.value import Plain, Size, Value
from zeropoint.ops.add import Add
from zeropoint.ops.clamp import Clamp
from zeropoint.ops.concat import Concat
from zeropoint.ops.conv import Conv2d
from zeropoint.ops.linear import Linear
from zeropoint.ops.matmul import MatMul
from zeropoint.ops.opaque import Opaque
from zeropoint.ops.permute import Permute
from zeropoint.ops.pool import GlobalAveragePool, MaxPool2d
from zeropoint.ops.shape import Flatten, SizeOf
from zeropoint.ops.slice import Slice
from zeropoint.recipe import Recipe, TensorSpec
from zeropoint.target import ONEDNN, REFERENCE, Target

IMAGE = ("N", 4, 8, 8)
SILU = Opaque("aten.silu.default", (("%", 0),), (), "no integer form")
NARROW = TensorSpec(bits=4, symmetric=True, granularity=PerChannel())


class Net:
    """A builder with one-letter layers: each named after the value that it writes."""

    def __init__(self) -> None:
        self.to: Builder
        self.to, self.x = float_graph(IMAGE)

    def conv(self, name: str, x: Value, *addend: Value) -> Value:
        w = self.to.constant(f"{name}.w", torch.ones(4, 4, 1, 1))
        b = self.to.constant(f"{name}.b", torch.ones(4))
        return self.op(name, Conv2d(), x, w, b, *addend)

    def op(self, name: str, op: Op, *operands: Value, **options: Any) -> Value:
        self.to.origin = Origin(name)
        return self.to.emit(op, *operands, name=name, **{"shape": IMAGE, **options})

    def assign(
        self, *outputs: Value, recipe: Recipe | None = None, target: Target = ONEDNN
    ) -> Assignment:
        structure = Leaf() if len(outputs) == 1 else Nest((Leaf(),) * len(outputs))
        return assign(self.to.done(outputs, structure), recipe or Recipe(), target)


def test_convolutions_run_in_integers_and_the_last_is_not_narrowed() -> None:
    net = Net()
    first = net.conv("a", net.x)
    result = net.assign(net.conv("b", first))
    assert result.integer == {"a", "b"}
    assert list(result.own) == ["x", "a"]
    assert result.accumulators == {"b"}
    assert result.weights == {"a.w": Recipe().weights, "b.w": Recipe().weights}
    assert not result.reasons


def test_an_operator_that_only_moves_integers_shares_its_operands_grid() -> None:
    net = Net()
    y = net.op("pool", MaxPool2d((1, 1), (1, 1)), net.conv("a", net.x))
    y = net.op("relu", Clamp(0.0), y)
    flat = net.op("flat", Flatten(), y, shape=("N", 256))
    weight, bias = net.to.constant("w", torch.ones(2, 256)), net.to.constant("v", torch.ones(2))
    result = net.assign(net.op("fc", Linear(), flat, weight, bias, shape=("N", 2)))
    assert result.shared == {"pool": "a", "relu": "pool", "flat": "relu"}
    assert list(result.own) == ["x", "a"]


def test_an_average_and_an_addition_have_grids_of_their_own() -> None:
    net = Net()
    total = net.op("sum", Add(), net.conv("a", net.x), net.x)
    mean = net.op("mean", GlobalAveragePool(True), total, shape=("N", 4, 1, 1))
    result = net.assign(net.conv("b", mean))
    assert list(result.own) == ["x", "a", "sum", "mean"]
    assert not result.shared


def test_operands_of_a_concatenation_are_tied_to_it_if_nobody_else_reads_them() -> None:
    net = Net()
    a, b = net.conv("a", net.x), net.conv("b", net.x)
    both = net.op("cat", Concat(1), a, b, net.x, shape=("N", 12, 8, 8))
    result = net.assign(both, net.conv("c", b))
    assert result.shared == {"a": "cat"}
    assert set(result.own) == {"x", "b", "cat"}


def test_operands_with_another_specification_are_not_tied() -> None:
    net = Net()
    a, b = net.conv("a", net.x), net.conv("b", net.x)
    both = net.op("cat", Concat(1), a, b, shape=("N", 8, 8, 8))
    pooled = net.op("pool", MaxPool2d((1, 1), (1, 1)), both)
    narrow = Recipe(overrides={"b": Recipe(activations=TensorSpec(bits=4))})
    result = net.assign(pooled, recipe=narrow)
    assert result.shared == {"a": "cat", "pool": "cat"}
    assert result.own["b"].bits == 4


def test_an_operand_is_tied_through_what_only_moves_it() -> None:
    net = Net()
    a, b = net.conv("a", net.x), net.conv("b", net.x)
    turned = net.op("turned", Permute((0, 1, 3, 2)), net.op("pool", MaxPool2d((1, 1), (1, 1)), a))
    both = net.op("cat", Concat(1), turned, b, shape=("N", 8, 8, 8))
    result = net.assign(net.op("last", MaxPool2d((1, 1), (1, 1)), both))
    assert result.shared == {
        "pool": "a", "turned": "pool", "a": "cat", "b": "cat", "last": "cat"
    }  # fmt: skip
    assert list(result.own) == ["x", "cat"]


def test_the_result_of_an_island_is_quantized_onto_the_grid_of_its_concatenation() -> None:
    net = Net()
    both = net.op("cat", Concat(1), net.conv("a", net.x), net.op("silu", SILU, net.x))
    result = net.assign(net.op("last", MaxPool2d((1, 1), (1, 1)), both))
    assert result.shared == {"a": "cat", "silu": "cat", "last": "cat"}


def test_a_concatenation_of_parts_of_one_value_is_on_its_grid() -> None:
    net = Net()
    a = net.conv("a", net.x)
    parts = [net.op(f"part{i}", Slice(1, i, i + 2), a) for i in (0, 2)]
    both = net.op("cat", Concat(1), *parts)
    result = net.assign(net.conv("b", both), net.conv("c", a))
    assert result.shared == {"part0": "a", "part2": "a", "cat": "a"}


def test_what_follows_an_accumulator_out_is_neither_integer_nor_an_island() -> None:
    net = Net()
    turned = net.op("turned", Permute((0, 2, 3, 1)), net.conv("a", net.x))
    result = net.assign(turned)
    assert result.leaving == {"turned"}
    assert result.accumulators == {"a"}
    assert not result.reasons


def test_a_product_of_matrices_that_an_island_reads_stays_wide() -> None:
    net = Net()
    pooled = net.op("pool", MaxPool2d((1, 1), (1, 1)), net.conv("a", net.x))
    product = net.op("product", MatMul(), pooled, pooled)
    result = net.assign(net.op("silu", SILU, product))
    assert result.accumulators == {"product"}


def test_a_residual_convolution_at_the_end_is_narrowed() -> None:
    net = Net()
    result = net.assign(net.conv("a", net.x, net.x))
    assert not result.accumulators
    assert "a" in result.own


def test_an_output_that_is_read_again_is_narrowed() -> None:
    net = Net()
    a = net.conv("a", net.x)
    assert net.assign(a, net.conv("b", a)).accumulators == {"b"}


# --- what stays float --------------------------------------------------------------------------


def test_an_island_stays_float_with_its_reason_and_leaves_the_layer_before_it_wide() -> None:
    net = Net()
    result = net.assign(net.conv("b", net.op("silu", SILU, net.conv("a", net.x))))
    assert result.reasons == {"silu": "no integer form"}
    assert result.accumulators == {"a", "b"}
    assert list(result.own) == ["x", "silu"]


def test_a_layer_that_the_recipe_keeps_stays_float() -> None:
    net = Net()
    y = net.conv("b", net.conv("a", net.x))
    result = net.assign(y, recipe=Recipe(overrides={"a": None}))
    assert result.reasons == {"a": "kept float by the recipe"}
    assert result.integer == {"b"}
    assert list(result.own) == ["a"]


def test_an_operator_without_weights_between_islands_stays_with_them() -> None:
    net = Net()
    pool = net.op("pool", MaxPool2d((1, 1), (1, 1)), net.op("silu", SILU, net.x))
    result = net.assign(net.conv("a", pool))
    assert result.reasons["pool"] == "its operands are float, and it has no weights to win by"


def test_an_addition_with_one_integer_operand_runs_in_integers() -> None:
    net = Net()
    total = net.op("sum", Add(), net.conv("a", net.x), net.op("silu", SILU, net.x))
    result = net.assign(net.conv("b", total))
    assert "sum" in result.integer
    assert "silu" in result.own


def test_operands_of_the_wrong_kind_keep_a_node_float() -> None:
    net = Net()
    wide = net.op("wide", SILU, net.x, type=Plain(torch.float64))
    bias = net.to.constant("v", torch.ones(4))
    b = net.op("b", MaxPool2d((1, 1), (1, 1)), wide)
    c = net.op("c2", Conv2d(), net.x, net.x, bias)
    assert net.assign(net.conv("first", net.x), b, c).reasons == {
        "wide": "no integer form",
        "b": "its operand 'wide' is not float32",
        "c2": "its weight is computed at run time",
    }


def test_a_constant_operand_has_a_grid_of_its_own() -> None:
    net = Net()
    constant = net.to.constant("c", torch.ones(4, 8, 8))
    sum = net.op("a", Add(), net.conv("first", net.x), constant)
    result = net.assign(net.conv("last", sum))
    assert not result.reasons
    assert {"c", "a"} <= result.own.keys()


def test_sizes_need_no_reason() -> None:
    net = Net()
    size = net.op("size", SizeOf(0), net.x, shape=("N",), type=Size())
    result = net.assign(net.conv("a", net.x), size)
    assert not result.reasons
    assert result.integer == {"a"}


# --- whose specification -----------------------------------------------------------------------


def test_an_override_changes_the_weights_and_the_output_of_its_layer() -> None:
    net = Net()
    y = net.conv("c", net.conv("b", net.conv("a", net.x)))
    narrow = Recipe(weights=NARROW, activations=TensorSpec(bits=5))
    result = net.assign(y, recipe=Recipe(overrides={"b": narrow}))
    assert {name: spec.bits for name, spec in result.weights.items()} == {
        "a.w": 8,
        "b.w": 4,
        "c.w": 8,
    }
    assert {name: spec.bits for name, spec in result.own.items()} == {"x": 8, "a": 8, "b": 5}


def test_the_input_has_the_specification_of_the_layer_that_reads_it() -> None:
    net = Net()
    y = net.conv("b", net.conv("a", net.x))
    result = net.assign(y, recipe=Recipe(overrides={"a": Recipe(activations=TensorSpec(bits=6))}))
    assert result.own["x"].bits == 6


def test_the_name_of_an_input_is_a_key_too() -> None:
    net = Net()
    y = net.conv("b", net.conv("a", net.x))
    wide, narrow = Recipe(activations=TensorSpec(bits=7)), Recipe(activations=TensorSpec(bits=6))
    result = net.assign(y, recipe=Recipe(overrides={"x": wide, "a": narrow}))
    assert {name: spec.bits for name, spec in result.own.items()} == {"x": 7, "a": 6}


def test_a_pattern_speaks_of_layers_only() -> None:
    net = Net()
    y = net.conv("b", net.conv("a", net.x))
    other, narrow = Recipe(activations=TensorSpec(bits=7)), Recipe(activations=TensorSpec(bits=6))
    result = net.assign(y, recipe=Recipe(overrides={"*": other, "a": narrow}))
    assert result.own["x"].bits == 6


# --- errors ------------------------------------------------------------------------------------


def test_nothing_to_quantize_is_an_error_that_says_why() -> None:
    net = Net()
    y = net.op("silu", SILU, net.x)
    with pytest.raises(RecipeError) as raised:
        net.assign(net.op("pool", MaxPool2d((1, 1), (1, 1)), y))
    assert str(raised.value) == (
        "nothing to quantize: no convolution or linear layer of the model can run in integers "
        "(no integer form); its operators are aten.silu.default, max_pool2d"
    )


def test_keeping_all_layers_float_leaves_nothing_to_quantize() -> None:
    net = Net()
    y = net.conv("a", net.x)
    with pytest.raises(RecipeError, match=r"nothing to quantize: .* \(kept float by the recipe\)"):
        net.assign(y, recipe=Recipe(overrides={"a": None}))


def test_weights_that_the_engine_cannot_run_name_the_layer_and_the_engine_that_can() -> None:
    net = Net()
    y = net.conv("b", net.conv("a", net.x))
    affine = Recipe(overrides={"b": Recipe(weights=TensorSpec(symmetric=False))})
    with pytest.raises(RecipeError) as raised:
        net.assign(y, recipe=affine)
    assert str(raised.value) == (
        "b asks for asymmetric weights, which the onednn engine cannot run; "
        'use engine="reference", or change the recipe for that layer'
    )
    assert net.assign(y, recipe=affine, target=REFERENCE).weights["b.w"].symmetric is False


def test_activations_that_the_engine_cannot_run_name_the_layer() -> None:
    net = Net()
    y = net.conv("b", net.conv("a", net.x))
    narrow = Recipe(overrides={"a": Recipe(activations=TensorSpec(bits=4))})
    with pytest.raises(RecipeError, match=r"a asks for 4-bit activations, which the old engine"):
        net.assign(y, recipe=narrow, target=Target("old", bits=range(8, 9)))


def test_an_input_that_the_engine_cannot_run_is_named() -> None:
    net = Net()
    y = net.conv("b", net.conv("a", net.x))
    narrow = Recipe(overrides={"x": Recipe(activations=TensorSpec(bits=4))})
    with pytest.raises(RecipeError, match=r"x asks for 4-bit activations, which the old engine"):
        net.assign(y, recipe=narrow, target=Target("old", bits=range(8, 9)))
