"""quantize() as a whole: what it takes, and what bad input gets."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import zeropoint as zp
from benchmarks.images import images as photographs
from benchmarks.networks.batch_norm import settle_batch_norm
from benchmarks.networks.resnet import resnet18
from tests.nets import Gated, Islands, MobileNetLike, Residual, images, seeded
from zeropoint.errors import (
    CalibrationError,
    CaptureError,
    EngineError,
    FileError,
    ProgramError,
    RecipeError,
    ZeropointError,
)

ENGINES = [engine.name for engine in zp.engines() if engine.usable]
LABELS = torch.tensor([0, 1, 2, 3])


def assert_close(quantized: zp.QuantizedModel, model: nn.Module, *inputs: Tensor) -> None:
    """On each engine finite, and the error at most 1 / 400 of the outputs' power (26 dB)."""
    with torch.no_grad():
        expected = model(*inputs)
    for engine in ENGINES:
        found = quantized.with_engine(engine)(*inputs)
        assert torch.isfinite(found).all()
        assert (found - expected).square().sum() <= expected.square().sum() / 400


def layers(*modules: nn.Module) -> nn.Module:
    return seeded(nn.Sequential(*modules))


# --- networks ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Residual, MobileNetLike])
def test_whole_networks_run_in_integers(kind: Callable[[], nn.Module]) -> None:
    model = seeded(kind())
    quantized = zp.quantize(model, [images(32)])
    assert not quantized.program.has_islands()
    assert quantized.coverage().share_of_macs == 1.0
    assert_close(quantized, model, images(16, seed=1))


@pytest.mark.parametrize("engine", [engine.name for engine in zp.engines()])
def test_functions_and_gates_run_in_integers_on_every_engine(engine: str) -> None:
    if not next(each.usable for each in zp.engines() if each.name == engine):
        pytest.skip(f"{engine} is not usable here")
    model = seeded(Gated())
    quantized = zp.quantize(model, [images(32)], engine=engine)
    assert not quantized.program.has_islands()
    assert quantized.coverage().share_of_macs == 1.0
    assert_close(quantized, model, images(16, seed=1))


def test_a_network_with_islands_runs_and_names_them() -> None:
    model = seeded(Islands())
    quantized = zp.quantize(model, [images(32)])
    islands = {island.layer: island.reason for island in quantized.coverage().islands}
    assert islands["norm"].startswith("it divides by a deviation of its own input")
    assert "softmax" in str(quantized.coverage())
    assert quantized.coverage().integer_layers == 3
    assert_close(quantized, model, images(16, seed=1))


def test_first_and_last_layers_are_treated_like_all_others() -> None:
    quantized = zp.quantize(seeded(Residual()), [images()])
    weights = [t for t in quantized.program.graph.constants.values() if t.ndim > 1]
    assert {tensor.dtype for tensor in weights} == {torch.int8}


def test_a_module_that_is_used_twice_is_quantized_for_both_uses() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 3, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.conv(5 * torch.relu(self.conv(x)))
            return y

    model = seeded(Twice())
    quantized = zp.quantize(model, [images(32)])
    assert len([t for t in quantized.program.graph.constants.values() if t.ndim == 4]) == 1
    assert_close(quantized, model, images(16, seed=1))


def test_concatenations_pools_and_pads_run_in_integers() -> None:
    class Inception(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Conv2d(3, 8, 3, padding=1)
            self.wide = nn.Conv2d(8, 8, 4, padding="same")
            self.narrow = nn.Conv2d(8, 8, 1)
            self.norm = nn.BatchNorm2d(24)
            self.head = nn.Conv2d(24, 4, 1)

        def forward(self, x: Tensor) -> Tensor:
            x = torch.relu(self.stem(x))
            pooled = nn.functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
            parts = [torch.relu(self.wide(x)), torch.relu(self.narrow(x)), pooled]
            x = nn.functional.max_pool2d(self.norm(torch.cat(parts, 1)), 2, ceil_mode=True)
            y: Tensor = self.head(x).mean((2, 3))
            return y

    model = seeded(Inception())
    quantized = zp.quantize(model, [images(32, size=9)])
    assert not quantized.program.has_islands()
    assert_close(quantized, model, images(16, size=9, seed=1))


def test_the_model_is_left_as_it_was() -> None:
    model = seeded(Residual()).train()
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    zp.quantize(model, [images()])
    assert model.training
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, state[name])


def test_quantizing_twice_gives_the_same_program() -> None:
    one, other = (zp.quantize(seeded(Residual()), [images()]).program for _ in range(2))
    assert str(one) == str(other)
    for name, tensor in one.graph.constants.items():
        assert torch.equal(tensor, other.graph.constants[name])


def test_all_weights_are_finite_integers_that_fill_their_grid() -> None:
    quantized = zp.quantize(seeded(MobileNetLike()), [images()])
    for name, tensor in quantized.program.graph.constants.items():
        params = quantized.plan.params(name)
        if params is not None and params.type.bits == 8:
            assert tensor.min() >= -127
            peaks = tensor.flatten(1).to(torch.int32).abs().amax(1)
            assert set(peaks.tolist()) <= {
                127,
                0,
            }  # a batch norm's zero factor makes a dead channel


# --- loaders -----------------------------------------------------------------------------------


def loader_of_tensors() -> Iterator[Tensor]:
    for seed in range(4):
        yield images(4, seed=seed)


@pytest.mark.parametrize(
    "loader",
    [
        [images(), images(seed=1)],
        (images(), images(seed=1)),
        loader_of_tensors(),
        [(images(), LABELS)],
        [[images(), LABELS]],
        [{"image": images(), "label": LABELS}],
        [{"label": LABELS, "pixels": images()}],
        DataLoader(TensorDataset(images(8), torch.arange(8)), batch_size=3, shuffle=False),
    ],
    ids=["list", "tuple", "generator", "pairs", "lists", "dicts", "other keys", "DataLoader"],
)
def test_every_kind_of_loader_calibrates(loader: Any) -> None:
    quantized = zp.quantize(layers(nn.Conv2d(3, 4, 3)), loader)
    assert quantized.provenance["samples"] >= 4


def test_a_generator_is_read_from_its_first_batch_on() -> None:
    model = layers(nn.Conv2d(3, 4, 3))
    listed = zp.quantize(model, list(loader_of_tensors()))
    generated = zp.quantize(model, loader_of_tensors())
    assert generated.provenance["samples"] == 16
    assert str(generated.program) == str(listed.program)


def test_samples_are_counted_and_the_rest_is_not_read() -> None:
    read: list[int] = []

    def loader() -> Iterator[Tensor]:
        for seed in range(100):
            read.append(seed)
            yield images(4, seed=seed)

    quantized = zp.quantize(layers(nn.Conv2d(3, 4, 3)), loader(), samples=10)
    assert quantized.provenance["samples"] == 10
    assert read == [0, 1, 2]


def test_a_short_last_batch_weighs_as_many_samples_as_it_has() -> None:
    model, x = layers(nn.Conv2d(3, 4, 3)), images(9)
    cut = zp.quantize(model, [x[:4], x[4:8], x[8:]])
    whole = zp.quantize(model, [x])
    assert cut.provenance["samples"] == whole.provenance["samples"] == 9
    assert str(cut.program) == str(whole.program)


def test_a_model_with_several_inputs_takes_them_by_place_or_by_name() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.other = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3)

        def forward(self, left: Tensor, right: Tensor) -> Tensor:
            y: Tensor = self.one(left) + self.other(right)
            return y

    model = seeded(Two())
    x, y = images(16), images(16, seed=1)
    by_place = zp.quantize(model, [(x, y, LABELS)])
    by_name = zp.quantize(model, [{"right": y, "label": LABELS, "left": x}])
    assert str(by_place.program) == str(by_name.program)
    assert_close(by_place, model, images(4, seed=2), images(4, seed=3))


def test_progress_and_timings_tell_the_stages() -> None:
    told: list[tuple[str, int, int | None]] = []
    quantized = zp.quantize(
        layers(nn.Conv2d(3, 4, 3)),
        [images(), images(2)],
        samples=6,
        progress=lambda *stage: told.append(stage),
    )
    assert told == [
        ("capture", 0, None),
        ("read", 4, 6),
        ("read", 6, 6),
        ("calibrate", 6, 6),
        ("lower", 0, None),
        ("prepare", 0, None),
    ]
    stages = ["capture", "passes", "read", "equalize", "calibrate", "lower", "prepare"]
    assert list(quantized.timings) == stages
    assert all(seconds >= 0 for seconds in quantized.timings.values())


# --- statistics in place of a loader -----------------------------------------------------------

LOADER = [images(seed=seed) for seed in range(3)]
EVERY_CALIBRATOR = (
    zp.MinMax(),
    zp.MSE(),
    zp.MovingAverage(),
    zp.Sigma(),
    zp.Percentile(),
    zp.Entropy(),
    zp.Best(),
)


@pytest.mark.parametrize("kind", [Residual, MobileNetLike, Islands])
def test_every_activation_is_observed_and_nothing_else(kind: Callable[[], nn.Module]) -> None:
    statistics = zp.observe(seeded(kind()), LOADER)
    assert statistics.samples == 12
    assert statistics.input_shapes == ((4, 3, 8, 8),)
    assert statistics.values["x"].layer == ""
    assert statistics.values["x"].observation.total == 12 * 3 * 8 * 8
    assert {value.observation.total % 12 for value in statistics.values.values()} == {0}
    assert not [name for name in statistics.values if "weight" in name or "bias" in name]


@pytest.mark.parametrize("calibrator", EVERY_CALIBRATOR, ids=repr)
@pytest.mark.parametrize("kind", [Residual, Islands])
def test_statistics_give_the_very_plan_that_the_loader_gives(
    kind: Callable[[], nn.Module], calibrator: Any, tmp_path: Path
) -> None:
    model, spec = seeded(kind()), zp.TensorSpec(calibrator=calibrator)
    recipe = zp.Recipe(activations=spec, gptq=False, equalize=False)
    zp.observe(model, LOADER).save(tmp_path / "a.safetensors")
    statistics = zp.Statistics.load(tmp_path / "a.safetensors")
    one, other = zp.quantize(model, statistics, recipe), zp.quantize(model, LOADER, recipe)
    assert one.plan.entries == other.plan.entries
    assert one.plan.reasons == other.plan.reasons
    assert str(one.program) == str(other.program)
    assert one.provenance == other.provenance
    assert torch.equal(one(images(8)), other(images(8)))


def test_statistics_of_two_halves_quantize_as_those_of_the_whole() -> None:
    model = seeded(Residual())
    merged = zp.observe(model, LOADER[:1]).merge(zp.observe(model, LOADER[1:]))
    whole = zp.observe(model, LOADER)
    for name, observation in merged.observations.items():
        # All but the extremes of each batch: there are two batches here, and one there.
        assert observation.histogram.zeros == whole.observations[name].histogram.zeros
        assert torch.equal(observation.histogram.counts, whole.observations[name].histogram.counts)
    recipe = zp.Recipe(equalize=False)
    by_loader = zp.quantize(model, LOADER, recipe)
    assert zp.quantize(model, merged, recipe).plan.entries == by_loader.plan.entries


def test_observing_reads_so_many_samples_and_tells_of_them() -> None:
    told: list[tuple[str, int, int | None]] = []
    model = seeded(Residual()).train()
    statistics = zp.observe(
        model, loader_of_tensors(), samples=6, progress=lambda *stage: told.append(stage)
    )
    assert statistics.samples == 6
    assert told == [("capture", 0, None), ("read", 4, 6), ("read", 6, 6), ("observe", 6, 6)]
    assert model.training


def test_a_model_with_several_inputs_is_observed_and_quantized_without_them() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.other = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3)

        def forward(self, left: Tensor, right: Tensor) -> Tensor:
            y: Tensor = self.one(left) + self.other(right)
            return y

    model, pairs = seeded(Two()), [(images(), images(seed=1), LABELS)]
    statistics = zp.observe(model, pairs)
    assert statistics.input_shapes == ((4, 3, 8, 8), (4, 3, 8, 8))
    assert zp.quantize(model, statistics).plan.entries == zp.quantize(model, pairs).plan.entries


def test_statistics_of_another_model_name_the_first_difference() -> None:
    statistics = zp.observe(seeded(Residual()), LOADER)
    message = refusal(CalibrationError, seeded(Residual(), seed=1), statistics)
    assert message == (
        "the statistics are of other weights: 'stem.0.weight' has changed since; "
        "observe this model: zp.observe(model, loader)"
    )
    message = refusal(CalibrationError, seeded(Islands()), statistics)
    assert message.startswith("the statistics are of another model: it has no 'conv1.weight'; obs")


def test_statistics_of_another_forward_name_the_first_value_that_differs() -> None:
    class Softmax(Residual):
        def forward(self, x: Tensor) -> Tensor:
            return torch.softmax(super().forward(x), 1)

    for model, other in ((Residual(), Softmax()), (Softmax(), Residual())):
        statistics = zp.observe(seeded(model), LOADER)
        message = refusal(CalibrationError, seeded(other), statistics)
        assert message.startswith("the statistics are of another model: ")
        assert "'softmax'" in message


@pytest.mark.parametrize("kind", [Residual, Gated])
@pytest.mark.parametrize("engine", ["reference", "onnxruntime"])
def test_statistics_serve_targets_that_fuse_and_those_that_do_not(
    engine: str, kind: type[nn.Module]
) -> None:
    if not next(each.usable for each in zp.engines() if each.name == engine):
        pytest.skip(f"{engine} is not installed")
    statistics = zp.observe(seeded(kind()), LOADER)
    recipe = zp.Recipe(equalize=False)
    q = zp.quantize(seeded(kind()), statistics, recipe, engine=engine)
    assert str(q.program) == str(zp.quantize(seeded(kind()), LOADER, recipe, engine=engine).program)
    kinds = [node.op.name for node in q.program.graph.nodes]
    ordinary = 0 if kind is Residual else 1  # a difference that is no residual
    assert (kinds.count("add") > ordinary) == (engine == "onnxruntime")
    functions = [node.op for node in q.program.graph.nodes if getattr(node.op, "function", ())]
    assert bool(functions) == (engine == "reference" and kind is Gated)


def test_an_input_has_a_calibrator_of_its_own_if_the_recipe_names_it() -> None:
    own = zp.Recipe(activations=zp.TensorSpec(calibrator=zp.MinMax()))
    plan = zp.quantize(seeded(Residual()), LOADER, zp.Recipe(overrides={"x": own})).plan
    assert plan.entries["x"].calibrator == "MinMax()"  # type: ignore[union-attr]  # it is an Own
    assert "MSE(p=2.0)" in str(plan)


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("bits", [8, 4])
def test_no_calibrator_is_better_than_mse_on_any_activation_of_resnet18(
    resnet: zp.Statistics, bits: int, symmetric: bool
) -> None:
    for name, choices in resnet.choices(bits, symmetric).items():
        most = max(choice.sqnr_db for choice in choices.values())
        assert choices[zp.MSE()].sqnr_db >= most - 0.001, name


@pytest.fixture(scope="module")
def resnet() -> zp.Statistics:
    """Of images smaller than usual, with the statistics of batch norms that belong to them."""
    shape = (3, 64, 64)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = settle_batch_norm(resnet18(), [photographs(shape, 8, seed=seed) for seed in (1, 2)])
    return zp.observe(model, [photographs(shape, 16, seed=3)])


# --- what bad input gets: loaders --------------------------------------------------------------


def refusal(
    error: type[ZeropointError], model: nn.Module, loader: Any, *args: Any, **options: Any
) -> str:
    """The sentence: one line, of an error of ours."""
    with pytest.raises(error) as raised:
        zp.quantize(model, loader, *args, **options)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_an_empty_loader_says_what_is_needed() -> None:
    message = refusal(CalibrationError, seeded(Residual()), [])
    assert message.startswith("the loader yields no batch; calibration needs some real images")


def test_a_first_batch_of_the_wrong_shape_names_shape_and_line() -> None:
    message = refusal(CaptureError, seeded(Residual()), [images(channels=1)])
    assert "Residual itself fails on inputs of shape (N, 1, 8, 8), which the loader" in message
    assert "nets.py:" in message
    assert "to have 3 channels, but got 1 channels instead; yield batches as for" in message


def test_a_later_batch_of_the_wrong_shape_is_named() -> None:
    loader = [images(), images(), images(channels=1)]
    message = refusal(CalibrationError, seeded(Residual()), loader)
    assert "batch 2 of the loader has shape (4, 1, 8, 8)" in message
    assert "the model takes (N, 3, H, W) for 'x'" in message


def test_a_loader_without_images_is_described() -> None:
    message = refusal(CalibrationError, seeded(Residual()), [("a.png", 3)])
    assert "the loader yields a tuple of str, int; the model takes 1 tensor(s) (x)" in message


@pytest.mark.parametrize("position", [0, 1])
def test_a_batch_of_integers_is_named_with_the_way_out(position: int) -> None:
    loader = [images(), images()]
    loader[position] = (images() * 50).to(torch.uint8)
    message = refusal(CalibrationError, seeded(Residual()), loader)
    assert message.startswith(f"batch {position} of the loader is uint8; the model takes float32")
    assert "x.float() / 255" in message


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("position", [0, 2])
def test_a_batch_that_is_not_finite_is_named(position: int, value: float) -> None:
    loader = [images(), images(), images()]
    loader[position][1, 2, 3, 4] = value
    message = refusal(CalibrationError, seeded(Residual()), loader)
    assert message.startswith(f"batch {position} of the loader holds NaN or infinity")


def test_the_first_layer_whose_output_is_not_finite_is_named() -> None:
    model = layers(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1))
    model.get_parameter("2.weight").data.fill_(1e38)
    message = refusal(CalibrationError, model, [1e3 * images()])
    assert message.startswith("the output of 2 ")
    assert "is not finite on the calibration data although the input is" in message


def test_no_samples_are_too_few() -> None:
    message = refusal(CalibrationError, seeded(Residual()), [images()], samples=0)
    assert message == "samples=0; calibration needs at least one"
    with pytest.raises(CalibrationError, match="samples=-1; calibration needs at least one"):
        zp.observe(seeded(Residual()), [images()], samples=-1)


def test_observing_bad_batches_is_refused_as_quantizing_on_them_is() -> None:
    for loader in ([], [images(), images(channels=1)], [torch.nan * images()], [("a.png", 3)]):
        message = refusal(CalibrationError, seeded(Residual()), loader)
        with pytest.raises(CalibrationError) as raised:
            zp.observe(seeded(Residual()), loader)
        assert str(raised.value) == message


# --- what bad input gets: models ---------------------------------------------------------------


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_weights_that_are_not_finite_name_the_parameter(value: float) -> None:
    model = seeded(Residual())
    model.get_parameter("block1.conv2.weight").data[0, 0, 0, 0] = value
    message = refusal(CaptureError, model, [images()])
    assert message.startswith("parameter 'block1.conv2.weight' holds NaN or infinity; repair or")


@pytest.mark.parametrize(("dtype", "name"), [(torch.half, "float16"), (torch.double, "float64")])
def test_a_half_or_double_model_says_how_to_convert_it(dtype: torch.dtype, name: str) -> None:
    message = refusal(CaptureError, seeded(Residual()).to(dtype), [images()])
    assert message == (
        f"parameter 'stem.0.weight' is {name}; zeropoint quantizes float32 models: "
        "pass model.float()"
    )


@pytest.mark.parametrize(
    "model", [nn.ReLU(), nn.Identity(), nn.Sequential(nn.SiLU(), nn.MaxPool2d(2))]
)
def test_a_model_with_nothing_to_quantize_is_an_error(model: nn.Module) -> None:
    message = refusal(RecipeError, model, [images()])
    assert message.startswith("nothing to quantize: no convolution or linear layer of the model")


def test_a_model_that_branches_on_values_names_the_line() -> None:
    class Branching(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x if x.sum() > 0 else -x

    message = refusal(CaptureError, Branching(), [images()])
    assert "test_pipeline.py:" in message
    assert "'return x if x.sum() > 0 else -x'" in message


def test_a_sum_that_could_overflow_int32_names_its_layer() -> None:
    """70,000 products of 127 and 255 are more than 2^31."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(70_000, 1, bias=False))
    model.get_parameter("1.weight").data.fill_(1.0)
    message = refusal(ProgramError, model, [torch.rand(2, 1, 100, 700)])
    assert message.startswith("1: the accumulator of channel 0 can reach 2266950000, beyond int32;")
    assert "quantize that layer to fewer bits or keep it float" in message


# --- what bad input gets: recipes and engines --------------------------------------------------


def test_an_unknown_layer_shows_the_nearest() -> None:
    recipe = zp.Recipe(overrides={"block1.conv3": None})
    message = refusal(RecipeError, seeded(Residual()), [images()], recipe)
    assert message == (
        "override 'block1.conv3' matches no layer of the model; did you mean 'block1.conv2'?"
    )


def test_a_folded_layer_says_which_to_name_instead() -> None:
    recipe = zp.Recipe(overrides={"block1.bn1": None})
    message = refusal(RecipeError, seeded(Residual()), [images()], recipe)
    assert "'block1.bn1' names only layers that are folded into their neighbours" in message
    assert "name the convolution or linear layer instead" in message


def test_keeping_everything_float_is_an_error() -> None:
    recipe = zp.Recipe(overrides={"*": None})
    message = refusal(RecipeError, seeded(Residual()), [images()], recipe)
    assert "nothing to quantize" in message
    assert "kept float by the recipe" in message


@pytest.mark.skipif("onednn" not in ENGINES, reason="this machine has no onednn engine")
def test_a_scheme_that_the_engine_cannot_run_names_layer_and_engine() -> None:
    affine = zp.Recipe(weights=zp.TensorSpec(symmetric=False))
    recipe = zp.Recipe(overrides={"fc": affine})
    message = refusal(RecipeError, seeded(Residual()), [images()], recipe, engine="onednn")
    assert message == (
        "fc asks for asymmetric weights, which the onednn engine cannot run; "
        'use engine="reference", or change the recipe for that layer'
    )
    zp.quantize(seeded(Residual()), [images()], recipe, engine="reference")


def test_a_width_that_no_engine_runs_is_refused_at_once() -> None:
    with pytest.raises(RecipeError, match=r"bits=16 is not a width .*; use 2 to 8, or None"):
        zp.TensorSpec(bits=16)


def test_an_engine_that_does_not_exist_is_refused_before_any_work() -> None:
    message = refusal(EngineError, seeded(Residual()), [], engine="tensorrt")
    known = "auto, onednn, openvino, onnxruntime, reference"
    assert message == f"there is no engine 'tensorrt'; choose one of {known}"


# --- odd networks that work --------------------------------------------------------------------


def test_a_dead_channel_works() -> None:
    model = layers(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 1))
    model.get_parameter("0.weight").data[1] = 0.0
    model.get_parameter("2.weight").data[2] = 0.0
    model.get_parameter("2.bias").data[2] = 0.3
    quantized = zp.quantize(model, [images(16)])
    assert_close(quantized, model, images(8, seed=1))
    assert (quantized(images())[:, 2] - 0.3).abs().max() < 1e-6


def test_all_weights_dead_works() -> None:
    model = layers(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 1))
    for parameter in model.parameters():
        parameter.data.zero_()
    quantized = zp.quantize(model, [images()])
    assert not quantized(images()).any()


@pytest.mark.parametrize("constant", [3.0, -3.0, 1e-3, 1000.0])
def test_a_constant_activation_works(constant: float) -> None:
    model = layers(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1))
    model.get_parameter("0.weight").data.zero_()
    model.get_parameter("0.bias").data.fill_(constant)
    assert_close(zp.quantize(model, [images()]), model, images(8, seed=1))


def test_an_almost_constant_activation_far_from_zero_works() -> None:
    model = layers(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1))
    model.get_parameter("0.weight").data.mul_(1e-5)
    model.get_parameter("0.bias").data.fill_(1000.0)
    assert_close(zp.quantize(model, [images()]), model, images(8, seed=1))


@pytest.mark.parametrize("scale", [1e-30, 1e-10, 1e10, 1e18])
def test_tiny_and_huge_numbers_give_finite_results(scale: float) -> None:
    model = layers(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.Conv2d(4, 4, 1))
    x = scale * images()
    quantized = zp.quantize(model, [x])
    for engine in ENGINES:
        assert torch.isfinite(quantized.with_engine(engine)(x)).all()


def test_a_map_of_a_single_pixel_works() -> None:
    model = layers(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    model.append(seeded(nn.Linear(4, 2)))  # type: ignore[operator]  # a Sequential
    assert_close(zp.quantize(model, [images(16, size=1)]), model, images(8, size=1, seed=1))


def test_a_batch_of_one_works() -> None:
    model = seeded(Residual())
    assert_close(zp.quantize(model, [images(1)] * 3), model, images(8))


def test_other_sizes_at_run_time_work() -> None:
    model = seeded(MobileNetLike())
    quantized = zp.quantize(model, [images(32)])
    for size in (5, 16, 31):
        assert quantized(images(2, size=size)).shape == (2, 5)


def test_an_unwritable_output_leaves_nothing_behind(tmp_path: Path) -> None:
    quantized = zp.quantize(layers(nn.Conv2d(3, 4, 3)), [images()])
    with pytest.raises(FileError, match="cannot be written: No such file or directory"):
        quantized.save(tmp_path / "nowhere" / "a.safetensors")
    assert not list(tmp_path.iterdir())


# --- channels in units of their own -------------------------------------------------------------


class Depthwise(nn.Module):
    """Channels of very different sizes, which only a depthwise convolution reads."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 16, 3)
        self.depthwise = nn.Conv2d(16, 16, 3, groups=16)
        self.last = nn.Conv2d(16, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.last(self.depthwise(self.first(x).relu()).relu())
        return y


def uneven() -> Depthwise:
    """A depthwise layer undoes what the one before it does to the sizes of its channels."""
    model = Depthwise()
    seeded(model)
    by = torch.logspace(0, 2, 16)[:, None, None, None]
    model.first.weight.data /= by
    assert model.first.bias is not None
    model.first.bias.data /= by.flatten()
    model.depthwise.weight.data *= by
    return model


def test_uneven_channels_lose_nothing_to_the_largest() -> None:
    model, x = uneven(), images(64, size=12)
    expected = model(images(16, size=12, seed=1)).detach()

    def noise(recipe: zp.Recipe) -> float:
        q = zp.quantize(model, [x], recipe)
        return float((q(images(16, size=12, seed=1)) - expected).square().sum())

    assert noise(zp.Recipe()) < noise(zp.Recipe(equalize=False)) / 10


def test_the_plan_and_the_file_say_which_channels_are_equalized(tmp_path: Path) -> None:
    q = zp.quantize(uneven(), [images(64)])
    q.save(tmp_path / "a.safetensors")
    again = zp.load(tmp_path / "a.safetensors")
    for plan in (q.plan, again.plan):
        assert set(plan.levels) == {"relu", "relu:2"}
        assert str(plan).count("channels equalized") == 2
    plain = zp.quantize(uneven(), [images(64)], zp.Recipe(equalize=False))
    assert plain.plan.levels == {}
    assert "channels equalized" not in str(plain.plan)


def test_what_was_looked_at_for_levels_is_calibrated_on_as_well() -> None:
    x = images(64)
    pulled: list[int] = []

    def batches() -> Iterator[Tensor]:
        for index, batch in enumerate(torch.split(x, 8)):
            pulled.append(index)
            yield batch

    q = zp.quantize(uneven(), batches(), samples=40)
    assert pulled == [0, 1, 2, 3, 4]
    assert q.provenance["samples"] == 40
    assert str(q.program) == str(zp.quantize(uneven(), list(torch.split(x, 8)), samples=40).program)


def test_training_starts_from_the_models_own_weights() -> None:
    recipe = zp.Recipe(overrides={"depthwise": zp.Recipe()})
    qat = zp.prepare_qat(uneven(), [images(64)], recipe)
    with pytest.warns(UserWarning, match="before a single training step"):
        assert zp.convert(qat).program.levels == {}


def test_statistics_of_equalized_channels_do_for_such_a_network_only(tmp_path: Path) -> None:
    model, x = uneven(), images(64)
    q = zp.quantize(model, [x], zp.Recipe(gptq=False))
    found = zp.analyze(model, q, [x]).statistics
    assert found is not None
    found.save(tmp_path / "a.safetensors")
    statistics = zp.Statistics.load(tmp_path / "a.safetensors")
    assert str(zp.quantize(model, statistics).program) == str(q.program)
    with pytest.raises(CalibrationError, match="channels are equalized"):
        zp.quantize(model, statistics, zp.Recipe(equalize=False))
    with pytest.raises(CalibrationError, match="channels are equalized"):
        zp.prepare_qat(model, statistics)
    other = zp.analyze(model, zp.quantize(model, [x], zp.Recipe(equalize=False)), [x]).statistics
    assert other is not None
    with pytest.raises(CalibrationError, match="channels in other units"):
        statistics.merge(other)
