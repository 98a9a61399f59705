import pytest
import torch
from torch import nn

from tests.nets import Residual, seeded
from zeropoint.errors import TrainingError
from zeropoint.train.tensors import adopt, names_of, put, tensor_at


class Odd(nn.Module):
    """A parameter and buffers of its own, a layer under two names, and places that are empty."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.ones(3))
        self.register_buffer("mean", torch.zeros(3))
        self.register_buffer("scratch", torch.zeros(2), persistent=False)
        self.register_buffer("nothing", None)
        self.register_parameter("absent", None)
        self.first = nn.Linear(3, 3, bias=False)
        self.second = self.first
        self.gone = None


def adopted(model: nn.Module) -> nn.Module:
    parent = nn.Module()
    adopt(parent, model, ())
    return parent


def test_all_tensors_are_adopted_under_their_names() -> None:
    model = seeded(Residual())
    found, expected = adopted(model).state_dict(), model.state_dict()
    assert list(found) == list(expected)
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor)
        assert found[name].data_ptr() != tensor.data_ptr()


def test_second_names_stay_names_of_one_tensor() -> None:
    parent = adopted(Odd())
    assert parent.first is parent.second
    assert names_of(parent) == {"factor", "mean", "scratch", "first.weight", "second.weight"}
    assert [name for name, _ in parent.named_parameters()] == ["factor", "first.weight"]


def test_what_is_not_part_of_the_state_does_not_become_one() -> None:
    assert list(adopted(Odd()).state_dict()) == list(Odd().state_dict())


def test_empty_places_stay_empty() -> None:
    parent = adopted(Odd())
    assert parent.absent is None
    assert parent.nothing is None


def test_modes_and_hooks_come_along() -> None:
    model = seeded(Residual()).train()
    model.get_submodule("block1.bn1").eval()
    parent = adopted(model)
    modes = {name: module.training for name, module in parent.named_modules() if name}
    assert modes == {name: module.training for name, module in model.named_modules() if name}


@pytest.mark.parametrize("name", ["register_buffer", "forward", "reserved"])
def test_a_name_that_is_taken_is_refused(name: str) -> None:
    model = nn.Sequential()
    model._modules[name] = nn.ReLU()
    with pytest.raises(TrainingError) as raised:
        adopt(nn.Module(), model, ("reserved",))
    assert str(raised.value) == (
        f"the model has a member named {name!r}, as the module in training has; rename it"
    )


def test_a_tensor_is_found_by_its_path() -> None:
    parent = adopted(Odd())
    assert tensor_at(parent, "factor") is parent.factor
    assert tensor_at(parent, "second.weight") is parent.get_parameter("first.weight")
    assert tensor_at(parent, "mean") is parent.get_buffer("mean")


def test_what_is_not_to_be_trained_is_put_so_that_it_is_not() -> None:
    parent = adopted(Odd())
    put(parent, "factor", torch.zeros(3), is_trained=False)
    assert not parent.get_parameter("factor").requires_grad


def test_a_parameter_is_put_where_there_was_another_tensor_or_none() -> None:
    parent = adopted(Odd())
    for name in ("factor", "mean", "absent", "first.bias"):
        put(parent, name, torch.full((3,), 2.0), is_trained=True)
        found = parent.get_parameter(name)
        assert found.tolist() == [2.0, 2.0, 2.0]
        assert found.requires_grad
    assert "mean" not in dict(parent.named_buffers())
