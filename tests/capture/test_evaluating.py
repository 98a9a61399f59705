import pytest
from torch import nn

from zeropoint.capture.evaluating import evaluating


class OwnTrain(nn.Sequential):
    """A model whose train() does more than set flags, as those with frozen batch norms do."""

    def train(self, mode: bool = True) -> "OwnTrain":
        raise AssertionError("nobody asked this model to train")


def flags(model: nn.Module) -> list[bool]:
    return [module.training for module in model.modules()]


def test_every_flag_is_off_inside_and_as_before_outside() -> None:
    model = nn.Sequential(nn.Dropout(), nn.Sequential(nn.Dropout()))
    model[1].eval()
    with evaluating(model) as inside:
        assert inside is model
        assert flags(model) == [False] * 4
    assert flags(model) == [True, True, False, False]


def test_the_flags_come_back_after_an_exception() -> None:
    model = nn.Sequential(nn.Dropout())
    with pytest.raises(RuntimeError, match="oops"), evaluating(model):
        raise RuntimeError("oops")
    assert flags(model) == [True, True]


def test_the_models_own_train_is_not_called() -> None:
    with evaluating(OwnTrain(nn.Dropout())):
        pass
