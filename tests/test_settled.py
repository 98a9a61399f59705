import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd import backward

from tests.nets import Residual, images
from tests.train.training import prepared, settled
from zeropoint.capture import capture
from zeropoint.settled import settled as with_the_datas_statistics


def fresh() -> nn.Module:
    """Inverted residuals as they come, of small weights: in eval mode the image dies away."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    channels = 3
    for _ in range(4):
        for out, kernel, groups in ((24, 1, 1), (24, 3, 24), (8, 1, 1)):
            conv = nn.Conv2d(channels, out, kernel, padding=kernel // 2, groups=groups, bias=False)
            nn.init.kaiming_normal_(conv.weight, mode="fan_out")
            layers += [conv, nn.BatchNorm2d(out), nn.ReLU6() if out == 24 else nn.Identity()]
            channels = out
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10))


def losses(model: nn.Module, steps: int = 8) -> list[float]:
    optimizer, found = torch.optim.SGD(model.parameters(), 0.01), []
    for step in range(steps):
        loss = F.cross_entropy(model.train()(images(16, seed=step)), torch.arange(16) % 10)
        optimizer.zero_grad()
        backward(loss)
        optimizer.step()
        found.append(loss.item())
    return found


def test_statistics_of_the_data_leave_the_network_as_it_is() -> None:
    model = settled(Residual())
    graph = capture(model, (images(),))
    norms = {name for name, m in model.named_modules() if isinstance(m, nn.BatchNorm2d)}
    assert with_the_datas_statistics(graph, [(images(16),)], norms) is graph


def test_statistics_that_are_far_off_are_measured() -> None:
    model = fresh().eval()
    graph = capture(model, (images(),))
    found = with_the_datas_statistics(graph, [(images(16),)], {"1", "4"})
    with torch.no_grad():
        expected = model.get_submodule("0")(images(16)).var((0, 2, 3), unbiased=False)
    torch.testing.assert_close(found.constants["1.running_var"], expected)
    assert torch.equal(found.constants["7.running_var"], torch.ones(8))


def test_norms_that_are_not_to_normalize_by_the_batch_are_not_looked_at() -> None:
    graph = capture(fresh().eval(), (images(),))
    assert with_the_datas_statistics(graph, [(images(16),)], set()) is graph


def test_a_network_that_nobody_has_trained_trains_as_steadily_as_in_float() -> None:
    model = fresh()
    qat = prepared(model)
    expected, found = losses(model), losses(qat)
    assert max(abs(a - b) for a, b in zip(found, expected, strict=True)) < 0.3
