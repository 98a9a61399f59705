"""Which of the user's tensors the weights of a simplified graph are made of."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.nets import MobileNetLike, Residual, images, seeded
from zeropoint.capture import capture
from zeropoint.passes import simplify
from zeropoint.train.layers import Layer, layers_of

for_training = partial(simplify, for_training=True)


def layers(model: nn.Module) -> dict[str, Layer]:
    model = seeded(model)
    return layers_of(capture(model, (images(channels=3),)), for_training, model)


def test_a_convolution_is_its_weight_its_bias_and_the_batch_norm_behind_it() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 1, bias=False)
    )
    assert layers(model) == {
        "2": Layer("0.weight", "0.bias", norm="1"),
        "3": Layer("3.weight", None, norm=None),
    }


def test_whole_networks_are_found_by_their_own_names() -> None:
    found = layers(Residual())
    assert found["block1.relu"] == Layer("block1.conv1.weight", None, norm="block1.bn1")
    assert found["fc"] == Layer("fc.weight", "fc.bias", norm=None)
    assert len(found) == 7
    assert {layer.norm for layer in layers(MobileNetLike()).values()} == {
        "stem.1", "expand.1", "depthwise.1", "project.1", None
    }  # fmt: skip


def test_a_batch_norm_without_factors_belongs_to_its_layer_all_the_same() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4, affine=False))
    assert list(layers(model).values()) == [Layer("0.weight", "0.bias", norm="1")]


def test_a_batch_norm_alone_is_a_layer_without_a_weight() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 1))
    assert layers(model)["2"] == Layer(None, None, norm="2")


def test_a_batch_norm_behind_a_linear_layer_belongs_to_it() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 4), nn.BatchNorm1d(4))
    assert list(layers(model).values()) == [Layer("1.weight", "1.bias", norm="2")]


def test_two_batch_norms_in_a_row_are_too_many() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.BatchNorm2d(4))
    assert layers(model) == {}


class Shared(nn.Module):
    """One convolution that is used twice, with and without batch norms of each use."""

    def __init__(self, norms: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)
        self.norms = nn.ModuleList(nn.BatchNorm2d(3) for _ in range(norms))

    def forward(self, x: Tensor) -> Tensor:
        for use in range(2):
            x = self.conv(x)
            x = torch.relu(self.norms[use](x) if use < len(self.norms) else x)
        return x


def test_a_convolution_that_is_used_twice_is_two_layers_of_one_weight() -> None:
    assert list(layers(Shared(0)).values()) == 2 * [Layer("conv.weight", "conv.bias", norm=None)]


def test_so_it_is_with_a_batch_norm_for_each_use() -> None:
    assert list(layers(Shared(2)).values()) == [
        Layer("conv.weight", "conv.bias", norm="norms.0"),
        Layer("conv.weight", "conv.bias", norm="norms.1"),
    ]


def test_so_it_is_with_a_batch_norm_for_one_of_them() -> None:
    assert list(layers(Shared(1)).values()) == [
        Layer("conv.weight", "conv.bias", norm="norms.0"),
        Layer("conv.weight", "conv.bias", norm=None),
    ]


def test_a_tensor_with_two_names_is_found_by_one_of_them() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 1)
            self.same = self.conv
            self.like = nn.Conv2d(3, 3, 1)
            self.like.weight = self.conv.weight

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.like(torch.relu(self.same(torch.relu(self.conv(x)))))
            return y

    found = list(layers(Tied()).values())
    assert len(found) == 3
    assert len({layer.weight for layer in found}) == 1
    assert found[0].weight in {"conv.weight", "same.weight", "like.weight"}
    assert found[2].bias == "like.bias"


class Functional(nn.Module):
    """F.conv2d with a bias of some kind."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.weight = nn.Parameter(torch.randn(3, 3, 1, 1))
        self.bias = nn.Parameter(torch.randn(3))
        self.register_buffer("kept", torch.tensor([1.0, 2.0, 3.0]))

    def forward(self, x: Tensor) -> Tensor:
        biases = {
            "computed": 2 * self.bias + 1,
            "kept": self.get_buffer("kept"),
            "of the image": x.mean((0, 2, 3)),
        }
        return F.conv2d(x, self.weight, biases[self.kind])


def test_a_bias_may_be_a_buffer() -> None:
    assert list(layers(Functional("kept")).values()) == [Layer("weight", "kept", norm=None)]


def test_a_bias_that_is_computed_from_a_parameter_is_none_of_the_users() -> None:
    """The layer is left out, so that both tensors are trained as they are after capture."""
    assert layers(Functional("computed")) == {}


def test_a_layer_whose_bias_only_the_run_knows_has_no_constants_to_find() -> None:
    assert layers(Functional("of the image")) == {}


def test_a_weight_that_is_computed_is_left_out() -> None:
    conv = nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 4, 1))
    model = nn.Sequential(conv, nn.ReLU(), nn.Conv2d(4, 4, 1))
    assert list(layers(model).values()) == [Layer("2.weight", "2.bias", norm=None)]


def test_a_batch_norm_whose_module_is_another_kind_is_left_out() -> None:
    class Norm(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("running_mean", torch.zeros(4))
            self.register_buffer("running_var", torch.ones(4))

        def forward(self, x: Tensor) -> Tensor:
            return F.batch_norm(x, self.get_buffer("running_mean"), self.get_buffer("running_var"))

    assert layers(nn.Sequential(nn.Conv2d(3, 4, 1), Norm())) == {}


def test_a_bias_of_zeros_of_the_users_is_a_bias() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 1))
    bias = model.get_parameter("0.bias")
    bias.data.zero_()
    found = layers_of(capture(model.eval(), (images(),)), for_training, model)
    assert list(found.values()) == [Layer("0.weight", "0.bias", norm=None)]
