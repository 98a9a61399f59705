import warnings
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd import backward

import zeropoint as zp
from tests.nets import MobileNetLike, Residual, images, seeded
from tests.train.training import prepared, recipe, settled, train
from zeropoint.errors import CalibrationError, CaptureError, RecipeError
from zeropoint.model import QuantizedModel
from zeropoint.recipe import Recipe, TensorSpec
from zeropoint.train import (
    CurrentRange,
    Folded,
    LearnedStep,
    Live,
    MovingRange,
    Unfolded,
    freeze_ranges,
)
from zeropoint.train.batch_norm import Way
from zeropoint.train.module import QuantizationAware


def converted(qat: QuantizationAware) -> QuantizedModel:
    """What convert makes of it, without its warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return zp.convert(qat)


# --- where training begins -----------------------------------------------------------------------


@pytest.mark.parametrize("net", [Residual, MobileNetLike])
@pytest.mark.parametrize("way", [Live(), Folded(), Unfolded()], ids=repr)
@pytest.mark.parametrize("methods", [{}, {"weights": CurrentRange()}], ids=["learned", "current"])
def test_before_the_first_step_it_converts_to_what_quantize_makes(
    net: type[nn.Module], way: Way, methods: dict[str, Any]
) -> None:
    """Same graph, same plan, biases that take back what rounding shifts.

    A folded scale may differ from a scale of folded weights by 2^-23.
    """
    model, data = settled(net()), [images(16)]
    plain = zp.Recipe(gptq=False, equalize=False)
    expected = zp.quantize(model, data, plain, engine="reference")
    found = converted(prepared(model, batch_norm=way, **methods))
    values = expected.program.graph.values
    assert found.program.graph.values.keys() == values.keys()
    for name, value in found.program.graph.values.items():
        if value.params is not None:
            wanted = values[name].params
            assert wanted is not None
            assert value.params.type == wanted.type
            assert torch.equal(value.params.zero_point, wanted.zero_point)
            torch.testing.assert_close(value.params.scale, wanted.scale, rtol=1e-6, atol=0.0)
    x = images(8, seed=3)
    assert (found(x) - expected(x)).abs().max() <= 0.01 * expected(x).abs().max()


@pytest.mark.parametrize(("bits", "moves"), [(2, False), (4, False), (8, True)])
def test_biases_make_up_for_rounding_only_on_the_grids_of_the_plan(bits: int, moves: bool) -> None:
    """On LSQ's wide steps of few bits the shifts are large, and training ends worse for them."""
    model = settled(nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 1)))
    narrow = zp.Recipe(weights=zp.TensorSpec(bits=bits))
    qat = prepared(model, narrow)
    for layer in ("0.bias", "2.bias"):
        moved = not torch.equal(qat.get_parameter(layer), model.get_parameter(layer))
        assert moved is moves


def test_dropout_is_kept_in_training_and_not_in_the_program() -> None:
    qat = prepared(settled(MobileNetLike()))
    assert "dropout" in {step.node.op.name for step in qat._steps}
    assert "dropout" not in {node.op.name for node in converted(qat).program.graph.nodes}


def test_statistics_stand_in_for_the_loader() -> None:
    model, data = settled(Residual()), [images(16)]
    statistics = zp.observe(model, data)
    found = zp.prepare_qat(model, statistics, engine="reference")
    expected = zp.prepare_qat(model, data, engine="reference")
    x = images(8, seed=3)
    assert torch.equal(found.eval()(x), expected.eval()(x))


def test_samples_and_progress_are_passed_on() -> None:
    stages: list[str] = []
    qat = zp.prepare_qat(
        settled(Residual()),
        [images(16), images(16, seed=1)],
        samples=20,
        engine="reference",
        progress=lambda stage, *_: stages.append(stage),
    )
    assert qat.made.provenance.samples == 20
    assert set(stages) == {"capture", "read", "calibrate"}


def test_the_defaults_are_learned_steps_and_live_batch_norms() -> None:
    qat = prepared(settled(Residual()))
    assert (qat.how.weights, qat.how.activations) == (LearnedStep(), LearnedStep())
    assert qat.how.batch_norm == Live()


# --- what is refused, before a day of training ---------------------------------------------------


def test_what_the_engine_cannot_run_is_refused_at_once() -> None:
    wish = Recipe(weights=TensorSpec(symmetric=False))
    with pytest.raises(RecipeError, match=r"stem\.0 asks for asymmetric weights, which"):
        zp.prepare_qat(settled(Residual()), [images()], wish, engine="onednn")


def test_weights_have_no_moving_range() -> None:
    with pytest.raises(RecipeError) as raised:
        prepared(settled(Residual()), weights=MovingRange())
    assert str(raised.value) == (
        "weights=MovingRange(momentum=0.99): a weight is there in every step, so its range needs "
        "no average; use LearnedStep() or CurrentRange()"
    )


def test_activations_have_no_current_range() -> None:
    with pytest.raises(RecipeError) as raised:
        prepared(settled(Residual()), activations=CurrentRange())
    assert str(raised.value) == (
        "activations=CurrentRange(): the integer program cannot compute the range of each batch; "
        "use LearnedStep() or MovingRange()"
    )


def test_what_quantize_refuses_is_refused_here_too() -> None:
    model = settled(Residual())
    with pytest.raises(CalibrationError, match="yields no batch"):
        zp.prepare_qat(model, [], engine="reference")
    with pytest.raises(CaptureError, match="is float64; zeropoint quantizes float32 models"):
        prepared(settled(Residual()).double())
    with pytest.raises(RecipeError, match="matches no layer of the model"):
        prepared(model, Recipe(overrides={"nothing": None}))


# --- convert -------------------------------------------------------------------------------------


def test_an_untrained_module_is_converted_with_one_warning() -> None:
    qat = prepared(settled(Residual()))
    with pytest.warns(UserWarning, match="before a single") as caught:
        zp.convert(qat)
    assert [str(warning.message) for warning in caught] == [
        "the model was converted before a single training step: quantize() does that better"
    ]
    assert caught[0].filename == __file__
    zp.convert(qat)  # warnings are errors


def test_ranges_that_still_move_are_warned_of_once() -> None:
    qat = prepared(settled(Residual()), activations=MovingRange())
    train(qat)
    with pytest.warns(UserWarning, match="still move") as caught:
        zp.convert(qat)
    assert [str(warning.message) for warning in caught] == [
        "the ranges of 8 activations still move, 'x' first; call freeze_ranges(qat) for the last "
        "epochs, so that the weights see their final grids"
    ]
    zp.convert(qat)  # warnings are errors


def test_a_module_that_is_trained_and_frozen_is_converted_silently() -> None:
    qat = prepared(settled(Residual()), activations=MovingRange())
    train(qat)
    freeze_ranges(qat)
    x = images(8, seed=3)
    q = zp.convert(qat)
    assert (q(x) - qat.eval()(x)).abs().max() <= 0.02 * q(x).abs().max()


def test_it_may_be_trained_on_after_it_was_converted() -> None:
    qat = prepared(settled(Residual()))
    optimizer = train(qat)
    assert qat.training
    first = zp.convert(qat)
    assert qat.training
    x = images(8, seed=3)
    before = first(x)
    train(qat, optimizer=optimizer, first=3)
    assert torch.equal(first(x), before)
    assert not torch.equal(zp.convert(qat)(x), before)


def test_what_is_converted_is_a_quantized_model_like_any_other(tmp_path: Any) -> None:
    qat = prepared(settled(Residual()), recipe(4))
    train(qat)
    q = zp.convert(qat)
    assert q.engine == "reference"
    assert q.coverage().share_of_macs == 1.0
    assert "trained" in str(q.plan)
    assert q.program.provenance.recipe == repr(recipe(4))
    q.save(tmp_path / "q.safetensors")
    x = images(8, seed=3)
    assert torch.equal(zp.load(tmp_path / "q.safetensors", "reference")(x), q(x))


def test_for_a_fast_engine_it_becomes_what_that_engine_runs() -> None:
    if not any(engine.name == "onednn" and engine.usable for engine in zp.engines()):
        pytest.skip("no oneDNN here")
    qat = zp.prepare_qat(settled(Residual()), [images(16)], engine="onednn")
    train(qat)
    q, x = zp.convert(qat), images(8, seed=3)
    assert q.engine == "onednn"
    assert (q(x) - qat.eval()(x)).abs().max() <= 0.02 * q(x).abs().max()


def test_the_model_need_not_be_in_eval_mode() -> None:
    model = seeded(MobileNetLike())
    expected = prepared(model).eval()(images())
    assert torch.equal(prepared(model.train()).eval()(images()), expected)
    assert model.training


# --- networks that were not trained before -------------------------------------------------------


class Deep(nn.Sequential):
    """(N, 3, H, W) to (N, 5): what MobileNetV2 is made of, narrow; fresh statistics."""

    def __init__(self) -> None:
        super().__init__()
        width = 3
        for index in range(27):
            kind = index % 3  # expand, depthwise, project
            leaving = (24, 24, 8)[kind]
            stride = 2 if kind == 1 and index < 6 else 1
            groups = 24 if kind == 1 else 1
            size = 3 if kind == 1 else 1
            self.append(
                nn.Conv2d(width, leaving, size, stride, size // 2, groups=groups, bias=False)
            )
            self.append(nn.BatchNorm2d(leaving))
            if kind < 2:
                self.append(nn.ReLU6(inplace=True))
            width = leaving
        self.extend([nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(8, 5)])
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")


def test_a_fresh_network_trains_on_as_in_float() -> None:
    torch.manual_seed(0)
    model, x = Deep(), torch.randn(16, 3, 64, 64)
    qat = zp.prepare_qat(model, [x], engine="reference")
    losses: dict[str, float] = {}
    for name, module in (("float", model), ("quantized", qat)):
        module.train()
        optimizer = torch.optim.SGD(module.parameters(), 0.01)
        for _ in range(10):
            optimizer.zero_grad()
            loss = F.cross_entropy(module(x), torch.arange(16) % 5)
            backward(loss)
            optimizer.step()
        losses[name] = loss.item()
    assert all(torch.isfinite(tensor).all() for tensor in qat.state_dict().values())
    assert abs(losses["quantized"] - losses["float"]) < 0.05  # 0.1 where all is clipped
