import copy
import pickle
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

import zeropoint as zp
from tests.nets import Islands, Residual, images, seeded
from zeropoint.errors import EngineError, FileError
from zeropoint.model import QuantizedModel, load, plan_of, restored
from zeropoint.plan import Accumulator, Bias, Own

ENGINES = [engine.name for engine in zp.engines() if engine.usable]


class Pair(nn.Module):
    """Two images to a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, left: Tensor, right: Tensor) -> dict[str, Any]:
        return {"sum": self.conv(left) + self.conv(right), "rest": (right, None)}


@pytest.fixture(scope="module", params=ENGINES)
def residual(request: pytest.FixtureRequest) -> QuantizedModel:
    return zp.quantize(seeded(Residual()), [images()], engine=request.param)


@pytest.fixture(scope="module")
def pair() -> QuantizedModel:
    return zp.quantize(seeded(Pair()), [(images(), images(seed=1))])


# --- calling -----------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1, 2, 17])
def test_any_batch_size_runs(residual: QuantizedModel, count: int) -> None:
    y = residual(images(count))
    assert (y.shape, y.dtype) == ((count, 5), torch.float32)


def test_a_sample_gets_the_same_in_any_batch(residual: QuantizedModel) -> None:
    x = images(5)
    whole = residual(x)
    for index in range(5):
        assert torch.equal(residual(x[index : index + 1])[0], whole[index])


@pytest.mark.parametrize("size", [4, 7, 32])
def test_other_image_sizes_run_where_the_float_model_would(
    residual: QuantizedModel, size: int
) -> None:
    x = images(2, size=size)
    with torch.no_grad():
        expected = seeded(Residual())(x)
    assert (residual(x) - expected).abs().max() < 0.1 * expected.abs().max() + 0.05


def test_the_memory_format_of_the_input_does_not_matter(residual: QuantizedModel) -> None:
    x = images()
    expected = residual(x)
    assert torch.equal(residual(x.contiguous(memory_format=torch.channels_last)), expected)
    assert torch.equal(residual(x.transpose(2, 3).contiguous().transpose(2, 3)), expected)
    assert torch.equal(residual(torch.cat([x, x], 1)[:, :3]), expected)


def test_gradients_are_neither_needed_nor_made(residual: QuantizedModel) -> None:
    y = residual(images().requires_grad_())
    assert not y.requires_grad
    with torch.inference_mode():
        assert torch.equal(residual(images()), y)


def test_the_input_is_not_changed(residual: QuantizedModel) -> None:
    x = images()
    residual(x)
    assert torch.equal(x, images())


def test_several_inputs_and_nested_outputs_are_as_in_the_model(pair: QuantizedModel) -> None:
    x, y = images(3), images(3, seed=1)
    found = pair(x, y)
    with torch.no_grad():
        expected = seeded(Pair())(x, y)
    assert found.keys() == expected.keys()
    assert torch.equal(found["rest"][0], y)
    assert found["rest"][1] is None
    assert (found["sum"] - expected["sum"]).abs().max() < 0.05 * expected["sum"].abs().max()


# --- what it refuses ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (images().double(), "input 'x' is torch.float64; expected a float32 tensor"),
        (images().half(), "input 'x' is torch.float16; expected a float32 tensor"),
        (images().to(torch.uint8), "input 'x' is torch.uint8; expected a float32 tensor"),
        (images().numpy(), "input 'x' is ndarray; expected a float32 tensor"),
        (None, "input 'x' is NoneType; expected a float32 tensor"),
        (images()[0], "input 'x' has shape (3, 8, 8); the model takes (N, 3, H, W)"),
        (images(channels=1), "input 'x' has shape (4, 1, 8, 8); the model takes (N, 3, H, W)"),
    ],
)
def test_an_input_of_the_wrong_kind_is_refused(
    residual: QuantizedModel, x: Any, message: str
) -> None:
    with pytest.raises(EngineError) as raised:
        residual(x)
    assert str(raised.value) == message


def test_the_wrong_number_of_inputs_is_refused(
    residual: QuantizedModel, pair: QuantizedModel
) -> None:
    with pytest.raises(EngineError, match=r"the model takes 1 input\(s\) \(x\), not 2"):
        residual(images(), images())
    with pytest.raises(EngineError, match=r"the model takes 2 input\(s\) \(left, right\), not 1"):
        pair(images())


def test_inputs_of_different_batch_sizes_are_refused(pair: QuantizedModel) -> None:
    with pytest.raises(EngineError, match=r"input 'right' has shape \(3, 3, 8, 8\); the model"):
        pair(images(4), images(3))


def test_a_fixed_image_size_is_part_of_the_shape() -> None:
    model = seeded(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(144, 2)))
    quantized = zp.quantize(model, [images()])
    with pytest.raises(EngineError, match=r"\(4, 3, 9, 9\); the model takes \(N, 3, 8, 8\)"):
        quantized(images(size=9))


def test_an_image_that_is_too_small_is_refused_as_by_the_float_model(
    residual: QuantizedModel,
) -> None:
    model = seeded(nn.Sequential(nn.Conv2d(3, 4, 5)))
    quantized = zp.quantize(model, [images()], engine=residual.engine)
    with pytest.raises(RuntimeError):
        model(images(size=3))
    with pytest.raises(EngineError, match=r"inputs of shape \(4, 3, 3, 3\) cannot be run: "):
        quantized(images(size=3))


def test_an_engine_that_does_not_exist_is_refused(residual: QuantizedModel) -> None:
    with pytest.raises(EngineError, match=r"no engine 'cuda'; choose one of auto, onednn, o"):
        residual.with_engine("cuda")


# --- asking ------------------------------------------------------------------------------------


def test_engines_are_exchanged_without_changing_the_program(residual: QuantizedModel) -> None:
    for name in ENGINES:
        other = residual.with_engine(name)
        assert other.engine == name
        assert other.program is residual.program
        assert other.plan is residual.plan
        # OpenVINO may round an integer to the one beside it: here 0.2 % of the largest logit.
        tolerance = 0.01 if "openvino" in (name, residual.engine) else 1e-5
        assert (other(images()) - residual(images())).abs().max() < tolerance


def test_a_model_says_what_it_is(residual: QuantizedModel) -> None:
    assert repr(residual).startswith(f"<QuantizedModel of Residual on {residual.engine}: 7 of 7")
    assert "conv2d" in str(residual.program)
    assert "MSE(p=2.0)" in str(residual.plan)
    assert residual.eval() is residual
    assert residual.coverage().share_of_macs == 1.0


def test_provenance_is_told(residual: QuantizedModel) -> None:
    told = residual.provenance
    assert told["zeropoint"] == zp.__version__
    assert told["torch"] == torch.__version__
    assert (told["model"], told["samples"]) == ("Residual", 4)
    assert told["input_shapes"] == ((1, 3, 8, 8),)
    assert told["recipe"] == repr(zp.Recipe())
    assert sum(told["macs"].values()) > 0


# --- files -------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [Residual, Islands])
def test_a_loaded_model_computes_the_same_bits(
    make: Callable[[], nn.Module], tmp_path: Path
) -> None:
    quantized = zp.quantize(seeded(make()), [images()])
    quantized.save(tmp_path / "a.safetensors")
    loaded = load(tmp_path / "a.safetensors")
    assert torch.equal(loaded(images(3)), quantized(images(3)))
    assert loaded.provenance == quantized.provenance
    assert str(loaded.coverage()) == str(quantized.coverage())
    assert dict(loaded.timings) == {}
    assert load(tmp_path / "a.safetensors", engine="reference").engine == "reference"


def test_the_plan_of_a_loaded_model_has_the_same_grids(
    residual: QuantizedModel, tmp_path: Path
) -> None:
    residual.save(tmp_path / "a.safetensors")
    found = load(tmp_path / "a.safetensors").plan
    assert {type(entry) for entry in found.entries.values()} == {Own, Bias, Accumulator}
    for name, entry in residual.plan.entries.items():
        # The quantized form of a float input has a name of its own.
        assert found.params(name) == entry.params or found.params(f"{name}.quantized")
    assert plan_of(residual.program).reasons == residual.program.islands


def test_an_asymmetric_program_needs_the_reference(tmp_path: Path) -> None:
    recipe = zp.Recipe(weights=zp.TensorSpec(symmetric=False))
    model = seeded(nn.Sequential(nn.Conv2d(3, 4, 3)))
    quantized = zp.quantize(model, [images()], recipe, engine="reference")
    quantized.save(tmp_path / "a.safetensors")
    assert torch.equal(load(tmp_path / "a.safetensors", "reference")(images()), quantized(images()))
    if "onednn" in ENGINES:
        with pytest.raises(EngineError, match=r'symmetric weights only: use engine="reference"'):
            load(tmp_path / "a.safetensors", "onednn")


def test_an_unwritable_place_is_refused_and_left_empty(
    residual: QuantizedModel, tmp_path: Path
) -> None:
    with pytest.raises(FileError, match="cannot be written"):
        residual.save(tmp_path / "nowhere" / "a.safetensors")
    assert not list(tmp_path.iterdir())


# --- as a module -------------------------------------------------------------------------------


def test_it_is_a_module_without_parameters(residual: QuantizedModel) -> None:
    net = nn.Sequential(residual, nn.Softmax(1))
    assert torch.equal(net(images()), residual(images()).softmax(1))
    assert list(net.parameters()) == list(net.buffers()) == []
    assert "<QuantizedModel of Residual on" in repr(net)
    assert not residual.training
    assert torch.equal(net.train()(images()), net.eval()(images()))
    seen: list[object] = []
    with residual.register_forward_hook(lambda *told: seen.append(told)):
        residual(images())
    assert len(seen) == 1


@pytest.mark.parametrize(
    "stay",
    [
        lambda q: q.to("cpu"),
        lambda q: q.to(torch.device("cpu"), torch.float32),
        lambda q: q.to(memory_format=torch.channels_last),
        lambda q: q.float().cpu().share_memory().requires_grad_(),
    ],
)
def test_moving_it_to_where_it_is_changes_nothing(
    residual: QuantizedModel, stay: Callable[[Any], Any]
) -> None:
    assert stay(residual) is residual
    assert torch.equal(residual(images()), residual(images()))


@pytest.mark.parametrize(
    "move",
    [
        lambda q: q.to("cuda"),
        lambda q: q.to("meta"),
        lambda q: q.half(),
        lambda q: q.to(torch.bfloat16),
        lambda q: q.double(),
        lambda q: nn.Sequential(q).to(torch.float16),
    ],
)
def test_it_is_not_moved_or_converted(
    residual: QuantizedModel, move: Callable[[Any], object]
) -> None:
    with pytest.raises(
        EngineError, match=r"an integer network (runs on|cannot be moved)"
    ) as raised:
        move(residual)
    assert "\n" not in str(raised.value)
    assert residual(images()).shape == (4, 5)


@pytest.mark.filterwarnings("ignore:.*torch.jit.trace:DeprecationWarning")
def test_tracing_it_is_refused(residual: QuantizedModel) -> None:
    with pytest.raises(EngineError, match="trace cannot see into an integer network"):
        torch.jit.trace(residual, images())  # type: ignore[no-untyped-call]  # torch has no types here


def test_its_state_is_that_of_its_program_alone(residual: QuantizedModel, tmp_path: Path) -> None:
    torch.save(residual.state_dict(), tmp_path / "state.pt")
    state = torch.load(tmp_path / "state.pt")
    residual.with_engine("reference").load_state_dict(state)
    other = zp.quantize(seeded(Residual(), seed=1), [images()], engine="reference")
    with pytest.raises(EngineError, match="the state dict is that of another integer network"):
        other.load_state_dict(state)


@pytest.mark.parametrize(
    "through",
    [
        lambda q: pickle.loads(pickle.dumps(q)),
        lambda q: copy.deepcopy(q),
        lambda q: copy.copy(q),
        lambda q: pickle.loads(pickle.dumps(nn.Sequential(q)))[0],
    ],
)
def test_copies_compute_the_same_on_the_same_engine(
    residual: QuantizedModel, through: Callable[[Any], Any]
) -> None:
    other = through(residual)
    assert other is not residual
    assert torch.equal(other(images()), residual(images()))
    assert (other.engine, other.timings) == (residual.engine, residual.timings)


def test_torch_saves_it(residual: QuantizedModel, tmp_path: Path) -> None:
    torch.save(residual, tmp_path / "q.pt")
    loaded = torch.load(tmp_path / "q.pt", weights_only=False)
    assert torch.equal(loaded(images()), residual(images()))
    with torch.serialization.safe_globals([QuantizedModel, restored]):
        assert torch.load(tmp_path / "q.pt").engine == residual.engine


def test_a_damaged_pickle_is_refused(residual: QuantizedModel) -> None:
    _, (content, engine, timings), _ = residual.__reduce__()
    for altered in (content[:-1], b"", content[:200] + b"\x00" + content[201:]):
        with pytest.raises(FileError):
            restored(altered, engine, timings)


def test_a_pickle_whose_engine_is_missing_takes_another(residual: QuantizedModel) -> None:
    _, (content, _, timings), _ = residual.__reduce__()
    assert restored(content, "cuda", timings).engine in ENGINES


class Predictions(torch.utils.data.Dataset[Tensor]):
    """What a quantized model makes of images, by number."""

    def __init__(self, q: QuantizedModel) -> None:
        self.q = q

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> Tensor:
        result: Tensor = self.q(images(seed=index))
        return result


def test_spawned_workers_run_it() -> None:
    q = zp.quantize(seeded(Residual()), [images()], engine="reference")
    loader = torch.utils.data.DataLoader(
        Predictions(q), num_workers=1, multiprocessing_context="spawn", batch_size=None
    )
    for index, found in enumerate(loader):
        assert torch.equal(found, q(images(seed=index)))


# --- outputs of classes ------------------------------------------------------------------------


class Scores(NamedTuple):
    logits: Tensor
    scale: float


class Output(OrderedDict[str, Any]):
    """A dict with attributes, as transformers' ModelOutput is; registered with torch below."""

    def __getattr__(self, name: str) -> Any:
        return self[name]


torch.utils._pytree.register_pytree_node(
    Output,
    lambda output: (list(output.values()), list(output)),
    lambda items, keys: Output(zip(keys, items, strict=True)),
    serialized_type_name="tests.test_model.Output",
)


class Classes(nn.Module):
    """An image to an object of a class, with objects, numbers and words in it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor) -> Output:
        y = self.conv(x)
        return Output(
            logits=y, pair=Scores(y.relu(), 0.5), rest=[1, True, "word", None, {"a": y.mean(1)}]
        )


def test_classes_of_outputs_are_kept_and_a_file_keeps_their_names(tmp_path: Path) -> None:
    q = zp.quantize(seeded(Classes()), [images()], engine="reference")
    found = q(images())
    assert isinstance(found, Output)
    assert isinstance(found.pair, Scores)
    assert found.pair.scale == 0.5
    assert found.rest[:4] == [1, True, "word", None]
    q.save(tmp_path / "q.safetensors")
    loaded = load(tmp_path / "q.safetensors", "reference")(images())
    assert list(loaded) == ["logits", "pair", "rest"]
    assert torch.equal(loaded.logits, found.logits)
    assert torch.equal(loaded[0], loaded["logits"])
    assert torch.equal(loaded.pair.logits, found.pair.logits)
    assert tuple(loaded.pair)[1] == loaded.pair[1] == loaded.pair.scale == 0.5
    assert loaded.rest[:4] == [1, True, "word", None]
