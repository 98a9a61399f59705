from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.nets import images, run, seeded
from zeropoint.capture import capture
from zeropoint.capture.inplace import pure_form
from zeropoint.graph.graph import Graph
from zeropoint.graph.rewrite import find
from zeropoint.graph.structure import nest
from zeropoint.ops.opaque import Opaque


class InPlace(nn.Module):
    def __init__(self, function: Callable[[Tensor], object]) -> None:
        super().__init__()
        self.conv = seeded(nn.Conv2d(3, 4, 3, padding=1))
        self.function = function

    def forward(self, x: Tensor) -> object:
        return self.function(self.conv(x))


def captured(function: Callable[[Tensor], object]) -> Graph:
    """The graph of a function of a convolution's result: pure, and equal to the model."""
    model = InPlace(function).eval()
    graph = capture(model, (images(),))
    assert_pure(graph)
    x = images(2, seed=1)
    with torch.no_grad():
        expected = model(x.clone())
    found = nest(graph.structure, run(graph, x))
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-6)
    return graph


def assert_pure(graph: Graph) -> None:
    for _, op in find(graph, Opaque):
        assert not op.target.split(".")[1].endswith("_")


def relu_then_read(y: Tensor) -> Tensor:
    y.relu_()
    return y


def read_before(y: Tensor) -> Tensor:
    before = y * 2
    return before + y.relu_()


def two_names(y: Tensor) -> Tensor:
    same = y
    same.add_(1.0).mul_(0.5)
    return y - 1


def after_dropout(y: Tensor) -> Tensor:
    z = F.dropout(y, 0.5, False)
    z.relu_()
    return y + z


def after_inplace_dropout(y: Tensor) -> Tensor:
    F.dropout(y, 0.5, False, inplace=True).sub_(0.25)
    return y


def clone_first(y: Tensor) -> Tensor:
    z = y.clone()
    z.relu_()
    return y + z


def contiguous_is_no_copy(y: Tensor) -> Tensor:
    z = y.contiguous()
    z.relu_()
    return y


def detached_is_no_copy(y: Tensor) -> Tensor:
    y.detach().relu_()
    return y


def flattened_view(y: Tensor) -> Tensor:
    y.flatten(1).relu_()
    return y


def viewed_before(y: Tensor) -> Tensor:
    z = y.view(y.shape[0], -1)
    y.relu_()
    return z


def view_of_view(y: Tensor) -> Tensor:
    z = y[:, 1:].transpose(2, 3)
    z[:, :, 0].clamp_(min=0.0)
    return y


def slice_assignment(y: Tensor) -> Tensor:
    y[:, 0] = 1.0
    y[:, 1:2] += y[:, 2:3]
    return y


def chunks(y: Tensor) -> Tensor:
    first, second = y.chunk(2, 1)
    first.relu_()
    return y + torch.cat([second, first], 1)


def split_and_select(y: Tensor) -> Tensor:
    torch.split(y, 2, 1)[1].mul_(3.0)
    y.select(1, 0).zero_()
    return y


def copied_into(y: Tensor) -> Tensor:
    y[:, :2].copy_(y[:, 2:])
    return y


def expanded(y: Tensor) -> Tensor:
    z = y[:, :1].expand(-1, 4, -1, -1)
    y.relu_()
    return z + y


def both_are_outputs(y: Tensor) -> tuple[Tensor, Tensor]:
    z = y.flatten(1)
    y.relu_()
    return y, z


def mutated_after_the_output_was_made(y: Tensor) -> list[Tensor]:
    outputs = [y]
    y += 1
    return outputs


def out_argument(y: Tensor) -> Tensor:
    z = torch.empty_like(y)
    torch.add(y, 1.0, out=z)
    return z


def written_by_index(y: Tensor) -> Tensor:
    y[y > 0] = 0.5
    return y


def iadd_of_itself(y: Tensor) -> Tensor:
    y += y
    return y


def swapped(y: Tensor) -> Tensor:
    z = y * 1.0
    y, z = z.relu_(), y.neg_()
    return y - 2 * z


RENAMED = [relu_then_read, read_before, two_names, clone_first, iadd_of_itself, swapped]
SAME_MEMORY = [after_dropout, after_inplace_dropout, contiguous_is_no_copy, detached_is_no_copy]
VIEWS: list[Callable[[Tensor], object]] = [
    flattened_view,
    viewed_before,
    view_of_view,
    slice_assignment,
    chunks,
    split_and_select,
    copied_into,
    expanded,
    both_are_outputs,
    mutated_after_the_output_was_made,
    out_argument,
    written_by_index,
]


@pytest.mark.parametrize("function", [*RENAMED, *SAME_MEMORY, *VIEWS])
def test_in_place_operators_become_pure(function: Callable[[Tensor], object]) -> None:
    captured(function)


def test_a_simple_in_place_chain_is_as_short_as_the_pure_one() -> None:
    graph = captured(lambda y: y.relu_().clamp_(max=3.0))
    assert [node.op.name for node in graph.nodes] == ["conv2d", "clamp", "clamp"]


def test_an_in_place_addition_is_the_addition() -> None:
    def residual(y: Tensor) -> Tensor:
        z = y.relu()
        z += y
        return F.relu(z, inplace=True)

    assert [node.op.name for node in captured(residual).nodes] == [
        "conv2d",
        "clamp",
        "add",
        "clamp",
    ]


def test_an_input_that_the_model_changes_is_left_alone() -> None:
    class Normalizing(InPlace):
        def forward(self, x: Tensor) -> object:
            x -= 0.5
            return self.conv(x.div_(2.0))

    model = Normalizing(lambda y: y)
    graph = capture(model, (images(),))
    x = images()
    (found,) = run(graph, x)
    assert torch.equal(x, images())
    with torch.no_grad():
        torch.testing.assert_close(found, model(images()))


def test_a_view_of_an_input_that_the_model_changes_is_functional_too() -> None:
    class Halving(InPlace):
        def forward(self, x: Tensor) -> object:
            x[:, 0] *= 0.5
            return self.conv(x)

    model = Halving(lambda y: y)
    graph = capture(model, (images(),))
    assert_pure(graph)
    x = images()
    (found,) = run(graph, x)
    assert torch.equal(x, images())
    with torch.no_grad():
        torch.testing.assert_close(found, model(images()))


def test_an_inplace_operator_knows_its_pure_form() -> None:
    aten = torch.ops.aten
    assert pure_form(aten.relu_.default) is aten.relu.default
    assert pure_form(aten.add_.Tensor) is aten.add.Tensor
    assert pure_form(aten.relu.default) is None
    assert pure_form(aten.add.out) is None
