import pytest
import torch

from zeropoint.graph.build import Builder, float_graph
from zeropoint.graph.value import Plain
from zeropoint.ops.identity import CAPTURES, nothing, to_dtype


@pytest.mark.parametrize("target", sorted(t for t, rule in CAPTURES.items() if rule is nothing))
def test_what_does_nothing_leaves_no_node(target: str) -> None:
    to, x = float_graph(("N", 3))
    assert CAPTURES[target](to, x.shape, x, memory_format=torch.channels_last) is x
    assert not to.nodes


def test_a_conversion_to_float32_is_gone() -> None:
    to, x = float_graph(("N", 3))
    assert to_dtype(to, x.shape, x, torch.float32) is x
    assert to_dtype(to, x.shape, x, dtype=torch.float32) is x
    assert to_dtype(to, x.shape, x, memory_format=torch.preserve_format) is x


def test_a_conversion_to_anything_else_makes_an_island() -> None:
    to, x = float_graph(("N", 3))
    assert to_dtype(to, x.shape, x, torch.float16) == "it converts float32 to float16"
    assert to_dtype(to, x.shape, x, dtype=torch.int64) == "it converts float32 to int64"


@pytest.mark.parametrize("dtype", [torch.bool, torch.int64, torch.uint8, torch.float64])
def test_a_conversion_from_anything_else_makes_an_island(dtype: torch.dtype) -> None:
    to = Builder()
    x, real = to.input("x", ("N", 3), Plain(dtype)), to.input("y", ("N", 3))
    name = str(dtype).removeprefix("torch.")
    assert to_dtype(to, x.shape, x, torch.float32) == f"it converts {name} to float32"
    assert to_dtype(to, x.shape, x, real) == f"it converts {name} to float32"
    assert to_dtype(to, x.shape, x, dtype) is x
