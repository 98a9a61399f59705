from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import backward
from torch.utils.flop_counter import FlopCounterMode

from tests.nets import MobileNetLike, Residual, images, seeded
from tests.train.training import assert_equal_states, prepared, recipe, settled, train
from zeropoint.recipe import Recipe
from zeropoint.train import CurrentRange, Folded, Live, Unfolded, freeze_batch_norm
from zeropoint.train.batch_norm import Way, factor_and_offset
from zeropoint.train.module import QuantizationAware

WAYS = (Live(), Folded(), Unfolded())


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("bias", [True, False])
def test_factor_and_offset_are_the_batch_norm_by_running_statistics(
    affine: bool, bias: bool
) -> None:
    norm = nn.BatchNorm2d(4, affine=affine, eps=0.01)
    seeded(norm)
    x, b = images(2, channels=4), torch.randn(4, generator=torch.Generator().manual_seed(1))
    factor, offset = factor_and_offset(norm, b if bias else None)
    found = x * factor.reshape(4, 1, 1) + offset.reshape(4, 1, 1)
    expected = norm(x + b.reshape(4, 1, 1) if bias else x)
    torch.testing.assert_close(found, expected)


def test_they_can_be_had_in_another_dtype() -> None:
    factor, offset = factor_and_offset(seeded(nn.BatchNorm2d(4)), None, torch.float64)
    assert (factor.dtype, offset.dtype) == (torch.float64, torch.float64)


def test_gradients_reach_the_parameters_through_them() -> None:
    norm = seeded(nn.BatchNorm2d(4))
    factor, offset = factor_and_offset(norm, torch.ones(4))
    backward((factor * torch.arange(4) + offset).sum())
    assert all(p.grad is not None and bool(p.grad.any()) for p in norm.parameters())


def test_live_and_unfolded_train_alike_with_a_scale_for_each_channel() -> None:
    """Q(w f; s f) = f Q(w; s): before the fold or behind it, the codes are the same."""
    live, unfolded = (prepared(settled(Residual()), batch_norm=way) for way in (Live(), Unfolded()))
    for qat in (live, unfolded):
        train(qat)
    assert_equal_states(live, unfolded)


def test_with_one_scale_for_the_whole_weight_they_do_not() -> None:
    wish = recipe(4, per_tensor=True)
    live, unfolded = (
        prepared(settled(Residual()), wish, batch_norm=way) for way in (Live(), Unfolded())
    )
    x = images(8)
    assert not torch.equal(live.train()(x), unfolded.train()(x))


@pytest.mark.parametrize("way", WAYS, ids=repr)
@pytest.mark.parametrize("wish", [recipe(), recipe(per_tensor=True)], ids=["channel", "tensor"])
def test_no_convolution_is_computed_twice(way: Way, wish: object) -> None:
    model = settled(MobileNetLike()).train()
    qat = prepared(model, wish, batch_norm=way)  # type: ignore[arg-type]  # a recipe
    counted = []
    for module in (model, qat.train()):
        with FlopCounterMode(display=False) as counter:
            backward(module(images(8).requires_grad_()).sum())
        counted.append(counter.get_total_flops())
    assert counted[1] == counted[0]


@pytest.mark.parametrize("way", [Live(), Unfolded()], ids=repr)
@pytest.mark.parametrize("wish", [recipe(), recipe(per_tensor=True)], ids=["channel", "tensor"])
def test_running_statistics_are_those_of_the_float_model_but_for_rounding(
    way: Way, wish: Recipe
) -> None:
    """Of the convolution's result as it is, wherever its weight was quantized."""
    model = settled(MobileNetLike()).train()
    wish = replace(wish, bias_correction=False)  # which begins with other running means
    qat = prepared(model, wish, batch_norm=way).train()
    x = images(32)
    model(x)
    qat(x)
    norm, expected = qat.get_submodule("stem.1"), model.get_submodule("stem.1")
    assert isinstance(norm, nn.BatchNorm2d)
    assert isinstance(expected, nn.BatchNorm2d)
    assert norm.num_batches_tracked == 2  # settled, and now
    for found, wanted in zip(statistics(norm), statistics(expected), strict=True):
        # What the factor zero hides is not rounded as the rest is.
        assert ((found - wanted).abs()[:-1] <= 0.02 * wanted.abs().max()).all()


def statistics(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    return norm.running_mean, norm.running_var


@pytest.mark.parametrize("way", [Live(), Unfolded()], ids=repr)
@pytest.mark.parametrize("wish", [recipe(), recipe(per_tensor=True)], ids=["channel", "tensor"])
def test_frozen_statistics_no_longer_depend_on_the_batch(way: Way, wish: object) -> None:
    qat = prepared(settled(Residual()), wish, batch_norm=way)  # type: ignore[arg-type]  # a recipe
    train(qat)
    x = images(8)
    assert not torch.allclose(qat(x)[:2], qat(x[:2]), atol=1e-3)
    freeze_batch_norm(qat)
    assert torch.allclose(qat(x)[:2], qat(x[:2]), atol=1e-5)


def test_frozen_factors_and_offsets_are_trained_on() -> None:
    qat = prepared(settled(Residual()))
    freeze_batch_norm(qat)
    before = {name: tensor.clone() for name, tensor in qat.state_dict().items()}
    train(qat)
    for name, tensor in qat.state_dict().items():
        if ".bn" in name:
            is_trained = name.endswith((".weight", ".bias"))
            assert torch.equal(tensor, before[name]) is not is_trained, name


def test_folded_there_is_no_batch_norm_left() -> None:
    qat = prepared(settled(Residual()), batch_norm=Folded())
    assert qat.batch_norms() == []
    assert isinstance(qat.get_submodule("block1.bn1"), nn.Identity)


def scales(qat: QuantizationAware) -> list[Tensor]:
    return [tensor for name, tensor in qat.state_dict().items() if name.endswith("initial")]


def test_a_scale_follows_its_batch_norms_factor_of_either_sign_and_of_zero() -> None:
    """The plan of the program has s |f|; where f is zero nothing but the bias is left."""
    qat = prepared(settled(Residual()), weights=CurrentRange()).eval()
    norm = qat.get_submodule("block1.bn1")
    assert isinstance(norm, nn.BatchNorm2d)
    factor, _ = factor_and_offset(norm, None)
    assert (factor < 0).any()
    assert factor[-1] == 0
    own = qat.weight_and_grid("block1.relu")[1].scale
    plan = qat.snapshot().plan
    found = plan.entries["block1.conv1.weight'"].params.scale
    torch.testing.assert_close(found[:-1], (own * factor.abs())[:-1])
    program = qat.snapshot().program
    assert not program.graph.constants["block1.conv1.weight'"][-1].any()
