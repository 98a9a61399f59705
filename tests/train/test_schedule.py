from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from tests.nets import MobileNetLike, Residual, images
from tests.train.training import (
    OPTIMIZERS,
    assert_equal_states,
    assert_evaluates_as_its_program,
    prepared,
    recipe,
    settled,
    train,
)
from zeropoint.errors import CalibrationError, RecipeError, TrainingError
from zeropoint.recipe import Recipe
from zeropoint.train import (
    CurrentRange,
    Folded,
    Live,
    MovingRange,
    Unfolded,
    freeze_batch_norm,
    freeze_ranges,
    narrow,
    reestimate_batch_norm,
)
from zeropoint.train.batch_norm import Way
from zeropoint.train.learned_step import LearnedGrid
from zeropoint.train.module import QuantizationAware

BATCHES = [images(8, seed=seed) for seed in range(20, 23)]


def statistics(qat: QuantizationAware) -> list[tuple[Tensor, Tensor]]:
    found = []
    for norm in qat.batch_norms():
        assert norm.running_mean is not None
        assert norm.running_var is not None
        found.append((norm.running_mean.clone(), norm.running_var.clone()))
    return found


# --- freezing ------------------------------------------------------------------------------------


def test_frozen_batch_norms_stay_so_through_train_and_eval() -> None:
    qat = prepared(settled(Residual()))
    train(qat)
    freeze_batch_norm(qat)
    expected = statistics(qat)
    for mode in (False, True):
        qat.train(mode)
        assert not any(norm.training for norm in qat.batch_norms())
    assert qat.get_submodule("block1").training
    train(qat)
    for found, wanted in zip(statistics(qat), expected, strict=True):
        assert all(map(torch.equal, found, wanted))


def test_frozen_ranges_stay_so_and_learned_steps_go_on() -> None:
    moving = prepared(settled(Residual()), activations=MovingRange(0.5))
    learned = prepared(settled(Residual()))
    for qat in (moving, learned):
        freeze_ranges(qat)
        before = {name: t.clone() for name, t in qat.state_dict().items() if "relu" in name}
        train(qat)
        same = all(torch.equal(qat.state_dict()[name], t) for name, t in before.items())
        assert same is (qat is moving)


def test_the_one_is_frozen_without_the_other() -> None:
    qat = prepared(settled(Residual()), activations=MovingRange())
    freeze_ranges(qat)
    assert qat.train().batch_norms()[0].training
    freeze_batch_norm(qat)
    assert qat.frozen.tolist() == [True, True]
    assert not qat.train().batch_norms()[0].training


# --- batch norms, measured anew ------------------------------------------------------------------


@pytest.mark.parametrize("way", [Live(), Unfolded()], ids=repr)
@pytest.mark.parametrize("wish", [recipe(4), recipe(4, per_tensor=True)], ids=["channel", "tensor"])
def test_they_are_the_mean_of_each_batchs_on_the_quantized_path(way: Way, wish: Recipe) -> None:
    qat = prepared(settled(Residual()), wish, batch_norm=way)
    train(qat)
    before = statistics(qat)
    of_batches = []
    for batch in BATCHES:
        reestimate_batch_norm(qat, [batch])
        of_batches.append(statistics(qat))
        for norm, (mean, var) in zip(qat.batch_norms(), before, strict=True):
            assert norm.running_mean is not None
            assert norm.running_var is not None
            norm.running_mean.copy_(mean)
            norm.running_var.copy_(var)
    reestimate_batch_norm(qat, BATCHES)
    for index, found in enumerate(statistics(qat)):
        for kind in (0, 1):
            expected = torch.stack([each[index][kind] for each in of_batches]).mean(0)
            torch.testing.assert_close(found[kind], expected)


@pytest.mark.parametrize("way", [Live(), Unfolded()], ids=repr)
def test_those_of_one_batch_are_what_a_training_step_measures(way: Way) -> None:
    """With a momentum of 1: the same path, and the same unbiased variance."""
    stepping, measuring = (
        prepared(settled(Residual()), recipe(4, per_tensor=True), batch_norm=way) for _ in range(2)
    )
    for norm in stepping.batch_norms():
        norm.momentum = 1.0
    with torch.no_grad():
        stepping.train()(BATCHES[0])
    reestimate_batch_norm(measuring, BATCHES[:1])
    for found, expected in zip(statistics(measuring), statistics(stepping), strict=True):
        for tensor, wanted in zip(found, expected, strict=True):
            torch.testing.assert_close(tensor, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("freezes", [True, False])
def test_nothing_else_changes(freezes: bool) -> None:
    qat = prepared(settled(MobileNetLike()), activations=MovingRange(0.5))
    train(qat)
    if freezes:
        freeze_batch_norm(qat)
    momenta = (0.1, None, 0.3, 0.7)
    for norm, momentum in zip(qat.batch_norms(), momenta, strict=True):
        norm.momentum = momentum
    qat.get_submodule("expand").eval()
    modes = [module.training for module in qat.modules()]
    state = {name: tensor.clone() for name, tensor in qat.state_dict().items()}
    reestimate_batch_norm(qat, BATCHES)
    assert [module.training for module in qat.modules()] == modes
    assert tuple(norm.momentum for norm in qat.batch_norms()) == momenta
    for name, tensor in qat.state_dict().items():
        is_statistic = name.endswith(("running_mean", "running_var"))
        assert torch.equal(tensor, state[name]) is not is_statistic, name


def test_dropout_is_off() -> None:
    class Dropping(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.last = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 5, 1)
            self.drop, self.norm = nn.Dropout(0.5), nn.BatchNorm2d(5)

        def forward(self, x: Tensor) -> Tensor:
            x = self.drop(torch.relu(self.conv(x)))
            x = nn.functional.dropout(x, 0.5, self.training)
            y: Tensor = self.norm(self.last(x)).mean((2, 3))
            return y

    qat = prepared(settled(Dropping())).train()
    found = []
    for _ in range(2):
        reestimate_batch_norm(qat, BATCHES)
        found.append(statistics(qat)[0])
    assert torch.equal(found[0][1], found[1][1])


def test_a_batch_norm_that_inference_does_not_use_keeps_its_own() -> None:
    class Headed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.used, self.head = nn.Conv2d(3, 4, 1), *map(nn.BatchNorm2d, (4, 4))

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.used(self.conv(x))
            return self.head(y) if self.training else y

    model = settled(Headed())
    qat = prepared(model)
    reestimate_batch_norm(qat, BATCHES)
    head, expected = qat.get_submodule("head"), model.get_submodule("head")
    assert torch.equal(head.get_buffer("running_var"), expected.get_buffer("running_var"))
    assert not torch.equal(qat.get_buffer("used.running_var"), model.get_buffer("used.running_var"))


def test_at_most_so_many_batches_are_looked_at() -> None:
    asked: list[int] = []

    def loader() -> Iterator[tuple[Tensor, Tensor]]:
        for index, batch in enumerate(BATCHES):
            asked.append(index)
            yield batch, torch.zeros(8)

    first, second = (prepared(settled(Residual())) for _ in range(2))
    reestimate_batch_norm(first, loader(), batches=2)
    assert asked == [0, 1]
    reestimate_batch_norm(second, BATCHES[:2])
    assert_equal_states(first, second)


def test_after_it_the_module_still_evaluates_as_its_program() -> None:
    qat = prepared(settled(MobileNetLike()), batch_norm=Unfolded())
    train(qat)
    before = qat.eval()(BATCHES[0])
    reestimate_batch_norm(qat, BATCHES)
    assert not torch.equal(qat(BATCHES[0]), before)
    assert_evaluates_as_its_program(qat, images(8, seed=3))


def test_a_module_in_float64_takes_the_images_as_they_are() -> None:
    qat = prepared(settled(Residual())).double()
    reestimate_batch_norm(qat, BATCHES)
    single = prepared(settled(Residual()))
    reestimate_batch_norm(single, BATCHES)
    for found, expected in zip(statistics(qat), statistics(single), strict=True):
        assert found[0].dtype == torch.float64
        torch.testing.assert_close(found[0].float(), expected[0], rtol=0.05, atol=0.05)


def test_without_batches_nothing_changes() -> None:
    qat = prepared(settled(Residual()))
    before = {name: tensor.clone() for name, tensor in qat.state_dict().items()}
    for loader, batches in (([], 100), (BATCHES, 0)):
        with pytest.raises(CalibrationError, match="the loader yields no batch"):
            reestimate_batch_norm(qat, loader, batches=batches)
    for name, tensor in qat.state_dict().items():
        assert torch.equal(tensor, before[name]), name


def test_a_loader_that_fails_leaves_the_statistics_and_modes_as_they_were() -> None:
    def failing() -> Iterator[Tensor]:
        yield BATCHES[0]
        raise OSError("the disk is gone")

    qat = prepared(settled(Residual())).train()
    before = {name: tensor.clone() for name, tensor in qat.state_dict().items()}
    with pytest.raises(OSError, match="the disk is gone"):
        reestimate_batch_norm(qat, failing())
    assert qat.training
    assert [norm.momentum for norm in qat.batch_norms()] == 6 * [0.1]
    for name, tensor in qat.state_dict().items():
        assert torch.equal(tensor, before[name]), name


def test_where_there_is_no_batch_norm_it_says_so() -> None:
    qat = prepared(settled(Residual()), batch_norm=Folded())
    with pytest.raises(TrainingError) as raised:
        reestimate_batch_norm(qat, BATCHES)
    assert str(raised.value) == (
        "there is no batch norm to re-estimate: they were folded before training, or the model has "
        "none"
    )


# --- fewer bits ----------------------------------------------------------------------------------


@pytest.mark.parametrize("way", [Live(), Folded(), Unfolded()], ids=repr)
@pytest.mark.parametrize("per_tensor", [False, True])
def test_from_eight_to_four_to_two_bits_parameters_and_optimizer_go_on(
    way: Way, per_tensor: bool
) -> None:
    qat = prepared(settled(Residual()), recipe(8, per_tensor=per_tensor), batch_norm=way)
    optimizer = OPTIMIZERS["sgd"](qat.parameters())
    parameters = [id(parameter) for parameter in qat.parameters()]
    for first, bits in enumerate((8, 4, 2)):
        if bits < 8:
            weights = {n: p.clone() for n, p in qat.named_parameters() if "quantizers" not in n}
            momenta = [optimizer.state[p]["momentum_buffer"] for p in qat.parameters()]
            narrow(qat, [images(16)], recipe(bits, per_tensor=per_tensor))
            for name, tensor in weights.items():
                assert torch.equal(qat.get_parameter(name), tensor)
            assert all(
                optimizer.state[p]["momentum_buffer"] is momentum
                for p, momentum in zip(qat.parameters(), momenta, strict=True)
            )
        train(qat, optimizer=optimizer, first=3 * first)
        assert [id(parameter) for parameter in qat.parameters()] == parameters
        assert_evaluates_as_its_program(qat, images(8, seed=3))
        qat.train()
    types = {quantizer.codes.bits for quantizer in qat.quantizers().values()}
    assert types == {2}
    assert qat.made.provenance.recipe == repr(recipe(2, per_tensor=per_tensor))


def test_grids_of_the_new_bits_are_those_of_the_weights_as_they_are() -> None:
    """As if the module as it is had been prepared for them."""
    qat = prepared(settled(Residual()), recipe(8), batch_norm=Folded())
    train(qat)
    narrow(qat, [images(16)], recipe(3))
    grid = qat.quantizers()["fc.weight"]
    assert isinstance(grid, LearnedGrid)
    expected = 2 * qat.get_parameter("fc.weight").detach().abs().mean(1) / 3**0.5
    torch.testing.assert_close(grid.initial, expected)
    assert not grid.change.any()


def test_ranges_and_current_grids_take_other_bits_too() -> None:
    qat = prepared(
        settled(Residual()), recipe(8), weights=CurrentRange(), activations=MovingRange(0.9)
    )
    train(qat)
    freeze_ranges(qat)
    narrow(qat, [images(16)], recipe(4))
    train(qat)
    assert_evaluates_as_its_program(qat, images(8, seed=3))
    assert qat.frozen.tolist() == [False, True]


def refused(qat: QuantizationAware, wish: Recipe) -> str:
    """Why another recipe cannot go on; nothing has changed."""
    before = {name: tensor.clone() for name, tensor in qat.state_dict().items()}
    made = qat.made
    with pytest.raises(RecipeError) as raised:
        narrow(qat, [images(16)], wish)
    assert qat.made is made
    for name, tensor in qat.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    return str(raised.value)


def test_a_recipe_that_quantizes_other_values_is_refused() -> None:
    qat = prepared(settled(Residual()), recipe(8))
    assert refused(qat, Recipe(overrides={"fc": None})) == (
        "'fc' runs in integers under one of the two recipes only; change bits, not which layers "
        "are quantized, or prepare_qat() anew"
    )


def test_a_recipe_of_another_symmetry_or_granularity_is_refused() -> None:
    qat = prepared(settled(Residual()), recipe(8))
    advice = (
        "has another symmetry or granularity under the two recipes; change bits only, or "
        "prepare_qat() anew"
    )
    assert refused(qat, recipe(4, per_tensor=True)) == f'"stem.0.weight\'" {advice}'
    assert refused(qat, recipe(4, symmetric_weights=False)) == f'"stem.0.weight\'" {advice}'
    assert refused(qat, recipe(4, symmetric=True)) == f"'x' {advice}"


def test_other_bits_that_the_engine_cannot_run_are_refused() -> None:
    qat = prepared(settled(Residual()), recipe(8), engine="onednn")
    wish = recipe(4, symmetric_weights=False)
    assert "asks for asymmetric weights, which the onednn engine cannot run" in refused(qat, wish)
