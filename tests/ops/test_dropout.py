import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.nets import images, run
from zeropoint.capture import capture
from zeropoint.errors import CaptureError
from zeropoint.graph.build import float_graph
from zeropoint.graph.graph import Graph
from zeropoint.graph.op import IntegerOp
from zeropoint.graph.rewrite import find
from zeropoint.ops.dropout import Dropout, dropout, feature_dropout


def captured(model: nn.Module) -> Graph:
    return capture(model.eval(), (images(),))


def dropouts(model: nn.Module) -> list[Dropout]:
    return [op for _, op in find(captured(model), Dropout)]


def test_its_float_form_is_inferences_which_is_nothing() -> None:
    x = images()
    assert Dropout(0.5).run(x) is x


def test_it_has_no_integer_form() -> None:
    assert not issubclass(Dropout, IntegerOp)


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        (nn.Dropout(0.3), Dropout(0.3)),
        (nn.Dropout(0.3, inplace=True), Dropout(0.3)),
        (nn.Dropout2d(0.4), Dropout(0.4, channels=True)),
        (nn.AlphaDropout(0.2), Dropout(0.2)),
    ],
    ids=repr,
)
def test_the_modules_of_torch_are_captured(module: nn.Module, expected: Dropout) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 1), module, nn.Conv2d(4, 4, 1))
    graph = captured(model)
    ((node, op),) = find(graph, Dropout)
    assert op == expected
    assert node.origin.layer == "1"
    x = images(2)
    with torch.no_grad():
        assert torch.allclose(run(graph, x)[0], model(x), atol=1e-6)


def test_so_are_the_functions() -> None:
    class Net(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return F.dropout2d(F.dropout(x, 0.1, self.training), 0.2, self.training)

    assert dropouts(Net()) == [Dropout(0.1), Dropout(0.2, channels=True)]


def test_one_that_never_drops_leaves_no_trace() -> None:
    assert dropouts(nn.Sequential(nn.Conv2d(3, 4, 1), nn.Dropout(0.0))) == []


def test_one_that_drops_in_eval_mode_too_is_refused() -> None:
    class Net(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return F.dropout(x, 0.5, training=True)

    with pytest.raises(CaptureError, match=r"draws random numbers in eval mode \(.*F\.dropout"):
        captured(Net())


@pytest.mark.parametrize("rule", [dropout, feature_dropout])
def test_in_training_it_is_refused_unless_it_never_drops(rule: object) -> None:
    to, x = float_graph(("N", 3, 4, 4))
    assert callable(rule)
    assert rule(to, x.shape, x, 0.5, True) == "it drops at random even in eval mode"
    assert rule(to, x.shape, x, 0.0, True) is x
    assert not to.nodes
