import logging
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.nets import Islands, MobileNetLike, Residual, images, run, seeded
from zeropoint.capture import capture
from zeropoint.errors import CaptureError
from zeropoint.graph.graph import Graph
from zeropoint.graph.rewrite import find
from zeropoint.graph.structure import nest
from zeropoint.graph.text import format_graph
from zeropoint.ops.batch_norm import BatchNorm
from zeropoint.ops.conv import Conv2d
from zeropoint.ops.linear import Linear
from zeropoint.ops.opaque import Opaque
from zeropoint.ops.pad import Pad
from zeropoint.ops.shape import Flatten, Reshape, SizeArithmetic, SizeOf
from zeropoint.ops.table import Table
from zeropoint.passes import simplify

TOLERANCE = 1e-5


class Layers(nn.Module):
    """Named layers and a forward of one's own."""

    def __init__(self, forward: Callable[..., Any], **layers: nn.Module) -> None:
        super().__init__()
        self.function = forward
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, x: Tensor) -> Any:
        return self.function(self, x)


def conv(channels: int = 4, **options: Any) -> nn.Module:
    return seeded(nn.Conv2d(3, channels, 3, **options))


def captured(forward: Callable[..., Any], x: Tensor | None = None, **layers: nn.Module) -> Graph:
    """The graph of a forward over named layers, checked on other images than the captured."""
    model = Layers(forward, **(layers or {"conv": conv()}))
    example = images() if x is None else x
    graph = capture(model, (example,))
    assert_equal(model, graph, torch.cat([example, example.flip(0)]))
    return graph


def assert_equal(model: nn.Module, graph: Graph, *inputs: Tensor) -> None:
    """The graph computes, nested alike, what the model computes in eval mode."""
    with torch.no_grad():
        expected = model.eval()(*[x.clone() for x in inputs])
    found = nest(graph.structure, run(graph, *inputs))
    torch.testing.assert_close(found, expected, atol=TOLERANCE, rtol=TOLERANCE)


def islands(graph: Graph) -> dict[str, str]:
    return {op.target: op.reason for _, op in find(graph, Opaque)}


# --- what is free ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def residual() -> tuple[nn.Module, Graph]:
    model = seeded(Residual())
    return model, capture(model, (images(),))


@pytest.mark.parametrize("count", [1, 2, 7])
def test_the_batch_is_free(residual: tuple[nn.Module, Graph], count: int) -> None:
    assert_equal(*residual, images(count))


@pytest.mark.parametrize("size", [5, 16, 33])
def test_the_image_is_free_where_the_model_leaves_it(
    residual: tuple[nn.Module, Graph], size: int
) -> None:
    assert_equal(*residual, images(2, size=size))


def test_free_extents_have_names(residual: tuple[nn.Module, Graph]) -> None:
    _, graph = residual
    assert graph.values["x"].shape == ("N", 3, "H", "W")
    assert graph.values["fc"].shape == ("N", 5)


def test_an_image_that_a_linear_layer_fixes_stays_fixed_while_the_batch_is_free() -> None:
    graph = captured(
        lambda net, x: net.fc(net.conv(x).flatten(1)), conv=conv(), fc=seeded(nn.Linear(4 * 36, 3))
    )
    assert graph.values["x"].shape == ("N", 3, 8, 8)


def test_a_batch_of_one_does_not_fix_the_batch() -> None:
    graph = captured(lambda net, x: net.conv(x).flatten(1), images(1))
    assert graph.values["x"].shape == ("N", 3, "H", "W")


def test_an_image_of_one_pixel_is_captured() -> None:
    graph = captured(lambda net, x: net.conv(x), images(2, size=1), conv=conv(padding=1))
    assert graph.values["x"].shape == ("N", 3, 1, 1)


def test_two_images_of_different_sizes_are_not_taken_for_equal() -> None:
    class Two(nn.Module):
        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            return x.mean((2, 3)) + y.mean((2, 3))

    graph = capture(Two(), (images(4, size=8), images(4, size=6)))
    x, y = (graph.values[name].shape for name in graph.inputs)
    assert x == ("N", 3, "H", "W")
    assert y[0] == "N"
    assert not {"H", "W"} & set(y)
    assert_equal(Two(), graph, images(2, size=5), images(2, size=9))


def test_sizes_are_computed_where_the_model_computes_them() -> None:
    def forward(net: Any, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        y = x.reshape(n, c, h * w).reshape(n, c, -1)  # (N, C, H W)
        return y.reshape(n, c * h, w + 0)

    graph = captured(forward)
    assert find(graph, SizeArithmetic)
    assert_equal(Layers(forward), graph, images(3, size=5))


# --- operators ---------------------------------------------------------------------------------


def test_a_model_becomes_operators_of_ours_and_nothing_else() -> None:
    graph = capture(seeded(MobileNetLike()), (images(),))
    assert not islands(graph)
    assert {node.op.name for node in graph.nodes} == {
        "conv2d",
        "batch_norm",
        "clamp",
        "dropout",
        "add",
        "global_average_pool",
        "linear",
    }
    assert_equal(seeded(MobileNetLike()), graph, images(3, size=16))


@pytest.mark.parametrize(
    "flat",
    [
        lambda x: x.flatten(1),
        lambda x: torch.flatten(x, 1),
        lambda x: x.view(x.shape[0], -1),
        lambda x: x.view(x.size(0), 3 * 8 * 8),
        lambda x: x.reshape(-1, 192),
        lambda x: nn.Flatten()(x),
    ],
)
def test_every_way_to_flatten_is_a_flatten(flat: Callable[[Tensor], Tensor]) -> None:
    graph = captured(lambda net, x: net.fc(flat(x)), fc=seeded(nn.Linear(192, 4)))
    assert [op for _, op in find(graph, Flatten)] == [Flatten(1)]
    assert not find(graph, Reshape)
    assert not find(graph, SizeOf)


@pytest.mark.parametrize(("kernel", "pads"), [(3, 0), ((1, 5), 0), (2, 1), ((4, 3), 1)])
@pytest.mark.parametrize("dilation", [1, 2])
def test_padding_same_is_captured(kernel: Any, pads: int, dilation: int) -> None:
    layer = seeded(nn.Conv2d(3, 4, kernel, padding="same", dilation=dilation))
    graph = captured(lambda net, x: net.conv(x), conv=layer)
    # An even kernel with an even dilation reaches equally far to both sides.
    assert len(find(graph, Pad)) == (pads if dilation == 1 else 0)


def test_padding_valid_is_no_padding() -> None:
    graph = captured(lambda net, x: net.conv(x), conv=conv(padding="valid"))
    assert [op.padding for _, op in find(graph, Conv2d)] == [(0, 0)]


def test_a_convolution_without_bias_gets_zeros() -> None:
    graph = captured(lambda net, x: net.conv(x), conv=conv(bias=False))
    assert graph.constants["conv.weight.zero_bias"].tolist() == [0.0] * 4


def test_identity_and_copies_leave_no_trace_and_dropout_waits_for_training() -> None:
    def forward(net: Any, x: Tensor) -> Tensor:
        y: Tensor = net.identity(net.drop(net.conv(x.contiguous()).clone())).detach()
        return y

    graph = captured(forward, conv=conv(), drop=nn.Dropout(0.5), identity=nn.Identity())
    assert [node.op.name for node in graph.nodes] == ["conv2d", "dropout"]
    assert [node.op.name for node in simplify(graph).nodes] == ["conv2d"]


def test_training_mode_is_captured_as_evaluation() -> None:
    model = seeded(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5)))
    graph = capture(model.train(), (images(),))
    assert model.training
    assert len(find(graph, BatchNorm)) == 1
    assert_equal(model, graph, images(3))


def test_a_channels_last_model_is_captured() -> None:
    model = seeded(Residual()).to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch annotates tensors only
    x = images().contiguous(memory_format=torch.channels_last)
    graph = capture(model, (x,))
    assert_equal(model, graph, x)
    weight = model.get_parameter("stem.0.weight")
    assert weight.is_contiguous(memory_format=torch.channels_last)


def test_weights_that_the_module_computes_from_parameters_are_computed_once() -> None:
    layer = nn.utils.parametrizations.weight_norm(conv())
    graph = captured(lambda net, x: net.conv(x), conv=layer)
    assert [node.op.name for node in graph.nodes] == ["conv2d"]
    weight = graph.constants[graph.nodes[0].inputs[1]]
    assert isinstance(layer.weight, Tensor)  # a property of the parametrized class
    torch.testing.assert_close(weight, layer.weight.detach())


def test_the_weight_norm_of_old_is_computed_once_too() -> None:
    with pytest.warns(FutureWarning, match="deprecated"):
        layer = nn.utils.weight_norm(conv())
    graph = captured(lambda net, x: net.conv(x), conv=layer)
    assert [node.op.name for node in graph.nodes] == ["conv2d"]


def test_a_standardized_weight_is_computed_once() -> None:
    class Standardized(nn.Conv2d):
        def forward(self, x: Tensor) -> Tensor:
            weight = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
            return F.conv2d(x, weight / weight.std(), self.bias)

    graph = captured(lambda net, x: net.conv(x), conv=seeded(Standardized(3, 4, 3)))
    assert [node.op.name for node in graph.nodes] == ["conv2d"]


def test_a_number_in_a_buffer_is_computed_once() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("factor", torch.tensor(2.0))

        def forward(self, x: Tensor) -> Tensor:
            return x * self.get_buffer("factor").item()

    graph = captured(lambda net, x: net.scaled(net.conv(x)), conv=conv(), scaled=Scaled())
    (table,) = find(graph, Table)
    assert table[1] == Table((("mul", "x", 2.0),))


# --- layers ------------------------------------------------------------------------------------


def test_every_node_has_the_layer_it_comes_from(residual: tuple[nn.Module, Graph]) -> None:
    model, graph = residual
    layers = {name for name, _ in model.named_modules()}
    found = {node.origin.layer for node in graph.nodes}
    assert found <= layers
    assert {"stem.0", "stem.1", "block1.conv1", "block2.shortcut.0", "pool", "fc"} <= found


def test_values_are_named_after_their_layers(residual: tuple[nn.Module, Graph]) -> None:
    _, graph = residual
    by_layer = {node.origin.layer: node.output for node in graph.nodes}
    assert by_layer["block1.conv1"] == "block1.conv1"
    assert by_layer["fc"] == "fc"
    assert "fc.weight" in graph.constants


def test_a_functional_call_belongs_to_the_module_around_it(
    residual: tuple[nn.Module, Graph],
) -> None:
    _, graph = residual
    relu = graph.users[graph.users["stem.0"][0].output][0]
    assert (relu.op.name, relu.origin.layer) == ("clamp", "")
    add = next(node for node in graph.nodes if node.op.name == "add")
    assert add.origin.layer == "block1"


def test_a_node_knows_its_module_class_with_the_bases(residual: tuple[nn.Module, Graph]) -> None:
    _, graph = residual
    types = next(node.origin.types for node in graph.nodes if node.origin.layer == "fc")
    assert types[0] == "torch.nn.modules.linear.Linear"
    assert "torch.nn.modules.module.Module" in types


def test_a_node_knows_the_line_of_the_user(residual: tuple[nn.Module, Graph]) -> None:
    _, graph = residual
    lines = {node.origin.layer: node.origin.line for node in graph.nodes}
    assert lines["fc"].startswith("nets.py:")
    assert lines["fc"].endswith("y: Tensor = self.fc(self.pool(x).flatten(1))")
    assert "self.bn2(self.conv2(" in lines["block1.conv2"]


def test_a_module_may_be_used_twice() -> None:
    graph = captured(lambda net, x: net.conv(net.conv(x)), conv=seeded(nn.Conv2d(3, 3, 3)))
    assert [node.origin.layer for node in graph.nodes] == ["conv", "conv"]
    assert [node.output for node in graph.nodes] == ["conv", "conv:2"]
    assert list(graph.constants) == ["conv.weight", "conv.bias"]


def test_a_module_may_have_two_names() -> None:
    shared = seeded(nn.Conv2d(3, 3, 3))
    graph = captured(lambda net, x: net.two(net.one(x)), one=shared, two=shared)
    assert len(graph.nodes) == 2
    assert len(graph.constants) == 2


def test_functional_convolutions_and_linears_are_captured() -> None:
    class Functional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.kernel = nn.Parameter(torch.ones(4, 3, 3, 3))
            self.matrix = nn.Parameter(torch.ones(2, 4))

        def forward(self, x: Tensor) -> Tensor:
            y = F.relu(F.conv2d(x, self.kernel, stride=2, padding=1))
            return F.linear(F.adaptive_avg_pool2d(y, 1).flatten(1), self.matrix)

    graph = captured(lambda net, x: net.inner(x), inner=Functional())
    assert len(find(graph, Conv2d)) == len(find(graph, Linear)) == 1
    assert {node.origin.layer for node in graph.nodes} == {"inner"}


def test_a_layer_may_be_called_anything() -> None:
    layers = nn.ModuleDict({"my (first), 50% layer": conv()})
    graph = captured(lambda net, x: net.layers["my (first), 50% layer"](x), layers=layers)
    assert graph.nodes[0].origin.layer == "layers.my (first), 50% layer"
    format_graph(graph)


# --- inputs and outputs ------------------------------------------------------------------------


def test_several_inputs_are_captured_in_order() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.left, self.right = conv(), conv()

        def forward(self, image: Tensor, other: Tensor) -> Tensor:
            y: Tensor = self.left(image) + 2 * self.right(other)
            return y

    model = Two()
    graph = capture(model, (images(), images(seed=1)))
    assert graph.inputs == ("image", "other")
    assert_equal(model, graph, images(3, seed=2), images(3, seed=3))


def test_inputs_may_be_as_many_as_one_likes() -> None:
    class Sum(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = conv()

        def forward(self, first: Tensor, *others: Tensor) -> Tensor:
            y: Tensor = self.conv(sum(others, start=first))
            return y

    for count in (1, 3):
        inputs = tuple(images(seed=seed) for seed in range(count))
        graph = capture(Sum(), inputs)
        assert len(graph.inputs) == count
        assert graph.values[graph.inputs[0]].shape == ("N", 3, "H", "W")
        capture(nn.DataParallel(Sum()), inputs)


@pytest.mark.parametrize(
    "outputs",
    [
        lambda y, z: (y, z),
        lambda y, z: [y, z],
        lambda y, z: {"y": y, "z": z},
        lambda y, z: OrderedDict(b=y, a=z),
        lambda y, z: {"both": (y, [z]), "one": {"y": y}},
        lambda y, z: (y, None, z),
        lambda y, z: (y,),
        lambda y, z: (y, y),
    ],
)
def test_outputs_are_nested_as_in_the_model(outputs: Callable[[Tensor, Tensor], Any]) -> None:
    def forward(net: Any, x: Tensor) -> Any:
        y = net.conv(x)
        return outputs(y, y.relu())

    captured(forward)


def test_an_input_may_be_an_output() -> None:
    captured(lambda net, x: (x, net.conv(x)))


# --- islands -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operator", "target"),
    [
        (lambda y: y.kthvalue(2, 1)[0], "aten.kthvalue.default"),
        (lambda y: torch.cat(torch.var_mean(y, 1)), "aten.var_mean.dim"),
        (lambda y: y.masked_fill(y > 0, float("-inf")), "aten.masked_fill.Scalar"),
        (lambda y: y * torch.ones(y.shape[0], 1, 1, 1), "aten.ones.default"),
        (lambda y: torch.fft.fft2(y).abs(), "aten.fft_fft2.default"),
    ],
)
def test_an_unknown_operator_becomes_an_island_with_a_reason(
    operator: Callable[[Tensor], Tensor], target: str
) -> None:
    graph = captured(lambda net, x: operator(net.conv(x)))
    assert islands(graph)[target] == "zeropoint has no integer form for it"
    format_graph(graph)


def test_an_island_knows_its_layer_and_line() -> None:
    graph = capture(seeded(Islands()), (images(),))
    node = next(node for node, op in find(graph, Opaque) if op.target == "aten.group_norm.default")
    assert node.origin.layer == "norm"
    assert "nets.py" in node.origin.line
    assert_equal(seeded(Islands()), graph, images(3, size=6))


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (nn.BatchNorm2d(3, track_running_stats=False), "the statistics of the batch"),
        (nn.AvgPool2d(2, divisor_override=3), "divisor_override=3 has no integer form yet"),
        (nn.Upsample(scale_factor=2, mode="bicubic"), "its weights are cubic polynomials"),
    ],
)
def test_a_variant_without_integer_form_says_why(layer: nn.Module, reason: str) -> None:
    graph = captured(lambda net, x: net.layer(x), layer=layer.eval())
    assert any(reason in why for why in islands(graph).values())


# --- the model stays as it was -----------------------------------------------------------------


def test_capturing_changes_nothing_about_the_model() -> None:
    model = Residual()
    model.train()
    model.block1.eval()
    model.fc.weight.requires_grad_(False)
    calls: list[str] = []
    handle = model.register_forward_hook(lambda *_: calls.append("hook"))
    parameters = dict(model.named_parameters())
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    flags = {name: module.training for name, module in model.named_modules()}
    gradients = {name: parameter.requires_grad for name, parameter in parameters.items()}
    attributes = {name: set(vars(module)) for name, module in model.named_modules()}

    capture(model, (images(),))

    assert {name: module.training for name, module in model.named_modules()} == flags
    assert all(parameter is parameters[name] for name, parameter in model.named_parameters())
    assert {n: p.requires_grad for n, p in model.named_parameters()} == gradients
    assert all(parameter.grad is None for parameter in model.parameters())
    assert {name: set(vars(module)) for name, module in model.named_modules()} == attributes
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, state[name])
        assert type(tensor) is Tensor
    assert list(model._forward_hooks) == [handle.id]
    before = len(calls)
    model(images())
    assert len(calls) == before + 1


def test_a_buffer_that_counts_calls_does_not_count_the_capture() -> None:
    class Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("calls", torch.zeros((), dtype=torch.int64))
            self.conv = conv()

        def forward(self, x: Tensor) -> Tensor:
            self.get_buffer("calls").add_(1)
            y: Tensor = self.conv(x)
            return y

    model = Counting()
    with pytest.warns(UserWarning, match=r"writes buffer 'calls', which no output depends on"):
        graph = capture(model, (images(),))
    assert model.get_buffer("calls").item() == 0
    assert [node.op.name for node in graph.nodes] == ["conv2d"]


def test_the_flags_are_restored_after_an_error() -> None:
    layer = conv().eval()
    model = Layers(lambda net, x: net.conv(x) if x.sum() > 0 else x)
    model.train().add_module("conv", layer)
    with pytest.raises(CaptureError):
        capture(model, (images(),))
    assert model.training
    assert not layer.training


def test_the_example_is_not_changed() -> None:
    x = images()
    capture(Layers(lambda net, x: net.conv(x.sub_(1.0)), conv=conv()), (x,))
    assert torch.equal(x, images())


# --- what cannot be captured -------------------------------------------------------------------


class Branches(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        if x.sum() > 0:  # the line of the error
            return x
        return -x


class Numbers(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * x.max().item()  # the line of the error


class Helped(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return helper(x)


def helper(x: Tensor) -> Tensor:
    return x if bool((x > 0).all()) else -x  # the line of the error


class WithNumpy(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.from_numpy(x.numpy())  # the line of the error


@pytest.mark.parametrize("kind", [Branches, Numbers, Helped, WithNumpy])
def test_a_model_that_looks_at_values_is_refused_with_the_line(
    kind: type[nn.Module], capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    source = Path(__file__).read_text().splitlines()
    with pytest.raises(CaptureError) as raised:
        capture(kind(), (images(),))
    message = str(raised.value)
    number = int(message.partition("test_capture.py:")[2].split(" ")[0])
    assert "the line of the error" in source[number - 1]
    assert "instead of" in message
    assert "\n" not in message
    assert not capfd.readouterr().err
    assert not [record for record in caplog.records if record.levelno > logging.DEBUG]


def test_logging_works_as_before_after_a_capture() -> None:
    before = logging.root.manager.disable
    with pytest.raises(CaptureError):
        capture(Branches(), (images(),))
    assert logging.root.manager.disable == before


def test_a_model_that_cannot_run_its_inputs_is_told_from_one_that_cannot_be_captured() -> None:
    model = seeded(Residual())
    with pytest.raises(CaptureError) as raised:
        capture(model, (images(channels=1),))
    message = str(raised.value)
    assert "Residual itself fails on inputs of shape (N, 1, 8, 8)" in message
    assert "nets.py:" in message
    assert "expected input[4, 1, 8, 8] to have 3 channels" in message


def traced(model: nn.Module) -> Any:
    return torch.jit.trace(model, images())  # type: ignore[no-untyped-call]  # torch leaves it so


@pytest.mark.parametrize(
    ("wrap", "how"),
    [
        (torch.jit.script, "torch.jit"),
        (traced, "torch.jit"),
        (torch.compile, "torch.compile"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_a_model_without_its_layers_is_refused(wrap: Callable[..., Any], how: str) -> None:
    with pytest.raises(CaptureError, match=rf"the model went through {how}, .* from before"):
        capture(wrap(nn.Sequential(conv())), (images(),))


def test_a_model_that_returns_no_tensor_is_refused() -> None:
    with pytest.raises(CaptureError, match=r"the model returns no tensor, but .*nothing to run"):
        capture(Layers(lambda net, x: (3, 4)), (images(),))


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda m: m.half(), "parameter 'stem.0.weight' is float16"),
        (lambda m: m.double(), "parameter 'stem.0.weight' is float64"),
        (lambda m: m.bfloat16(), "parameter 'stem.0.weight' is bfloat16"),
        (
            lambda m: poison(m.fc.weight, float("nan")),
            "parameter 'fc.weight' holds NaN or infinity",
        ),
        (lambda m: poison(m.fc.bias, float("inf")), "parameter 'fc.bias' holds NaN or infinity"),
        (
            lambda m: poison(m.block1.bn1.running_var, float("nan")),
            "buffer 'block1.bn1.running_var' holds NaN or infinity",
        ),
    ],
)
def test_parameters_that_are_no_finite_float32_are_named(
    break_it: Callable[[Any], Any], message: str
) -> None:
    model = seeded(Residual())
    break_it(model)
    with pytest.raises(CaptureError, match=message):
        capture(model, (images(),))


def poison(tensor: Tensor, value: float) -> None:
    tensor.data.view(-1)[0] = value


def choosing(net: Any, x: Tensor) -> Any:
    return torch.cond(x.sum() > 0, torch.sin, torch.cos, (x,))


def casting(net: Any, x: Tensor) -> Any:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        return net.conv(x)


@pytest.mark.parametrize(("forward", "region"), [(choosing, "cond"), (casting, "autocast")])
def test_a_part_that_runs_under_something_else_is_refused(
    forward: Callable[..., Any], region: str
) -> None:
    with pytest.raises(CaptureError, match=rf"under \S*{region}; choose with torch.where"):
        capture(Layers(forward, conv=conv()), (images(),))


def test_a_frozen_part_is_captured() -> None:
    def forward(net: Any, x: Tensor) -> Any:
        with torch.no_grad():
            y = net.conv(x)
        return net.head(y)

    captured(forward, conv=conv(), head=seeded(nn.Conv2d(4, 2, 1)))
