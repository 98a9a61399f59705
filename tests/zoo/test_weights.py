import torch
from torch import Tensor, nn

from zoo.weights import liven, sane, unit_variance


class Scaled(nn.Module):
    """A residual branch that begins as nothing, twice over."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.norm = nn.BatchNorm2d(3)
        self.gamma = nn.Parameter(1e-6 * torch.ones(3, 1, 1))
        nn.init.zeros_(self.norm.weight)
        nn.init.zeros_(self.conv.bias)  # type: ignore[arg-type]  # it has one

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.gamma * self.norm(self.conv(x))
        return y


def batch() -> Tensor:
    return torch.randn(8, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def test_idle_branches_come_to_life() -> None:
    model = Scaled()
    liven(model)
    assert set(model.gamma.flatten().tolist()) == {torch.tensor(0.2).item()}
    assert model.norm.weight.min() >= 0.75
    assert len(set(model.norm.weight.tolist())) == 3


def test_biases_that_are_zero_stay_zero() -> None:
    model = Scaled()
    liven(model)
    assert not model.conv.bias.any()  # type: ignore[union-attr]  # it has one


def test_every_layer_gets_an_output_of_deviation_one_in_one_pass() -> None:
    torch.manual_seed(0)
    first = nn.Conv2d(3, 8, 3)
    first.weight.data *= 1000
    model = nn.Sequential(first, nn.ReLU(), nn.Conv2d(8, 4, 3), nn.Tanh()).eval()
    unit_variance(model, batch())
    x = batch()
    with torch.no_grad():
        for layer in model:
            x = layer(x)
            if isinstance(layer, nn.Conv2d):
                assert abs(x.std().item() - 1) < 1e-4


def test_a_layer_that_is_called_twice_is_scaled_once() -> None:
    torch.manual_seed(0)
    shared = nn.Conv2d(3, 3, 1)
    unit_variance(nn.Sequential(shared, nn.ReLU(), shared).eval(), batch())
    assert abs(shared(batch()).std().item() - 1) < 1e-4


def test_a_sane_network_is_in_eval_mode_with_the_statistics_of_its_inputs() -> None:
    torch.manual_seed(0)
    model = sane(nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)), [batch(), batch()])
    assert not model.training
    y = model[0](batch())  # type: ignore[index]  # a Sequential
    mean = model[1].running_mean  # type: ignore[index]
    assert torch.allclose(mean, y.mean((0, 2, 3)), atol=1e-5)
    assert not any(module._forward_hooks for module in model.modules())
