import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from zeropoint.errors import FileError
from zeropoint.source import load_model

NET = """
from dataclasses import dataclass

import torch
from torch import Tensor, nn

SIZE = 3


@dataclass
class Options:
    width: int = SIZE


def factory():
    return nn.Sequential(nn.Linear(2, Options().width))


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(2, 3)


ready = nn.Linear(2, 3)


def returns_a_list():
    return [1]


def fails():
    raise RuntimeError("no GPU here\\nlong story")


def needs_arguments(width):
    return nn.Linear(2, width)
"""


@pytest.fixture(autouse=True)
def _the_users_modules_are_forgotten(tmp_path: Path) -> Iterator[None]:
    yield
    for name, module in list(sys.modules.items()):
        if str(tmp_path) in str(getattr(module, "__file__", None)):
            del sys.modules[name]


@pytest.fixture
def net(tmp_path: Path) -> Path:
    file = tmp_path / "some_net.py"
    file.write_text(NET)
    return file


def refused(match: str, source: object, weights: Path | None = None) -> None:
    with pytest.raises(FileError, match=match) as caught:
        load_model(str(source), weights=weights)
    assert "\n" not in str(caught.value)


# --- where a model may be ----------------------------------------------------------------------


def test_a_file_and_a_function(net: Path) -> None:
    assert isinstance(load_model(f"{net}:factory"), nn.Sequential)


def test_a_class_is_called_and_a_module_is_taken_as_it_is(net: Path) -> None:
    assert type(load_model(f"{net}:Classifier")).__name__ == "Classifier"
    assert isinstance(load_model(f"{net}:ready"), nn.Linear)


def test_a_file_may_import_its_neighbours(tmp_path: Path) -> None:
    (tmp_path / "neighbour_of_net.py").write_text("WIDTH = 5")
    file = tmp_path / "net_with_neighbour.py"
    file.write_text(
        "from torch import nn\nfrom neighbour_of_net import WIDTH\n"
        "def factory():\n    return nn.Linear(2, WIDTH)"
    )
    path = list(sys.path)
    model = load_model(f"{file}:factory")
    assert isinstance(model, nn.Linear)
    assert model.out_features == 5
    assert sys.path == path


def test_a_module_in_the_working_directory(net: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(net.parent)
    assert isinstance(load_model("some_net:factory"), nn.Sequential)


def test_an_exported_program(tmp_path: Path) -> None:
    model = nn.Linear(2, 3)
    x = torch.ones(4, 2)
    free = torch.export.export(model, (x,), dynamic_shapes=({0: torch.export.Dim.AUTO},))
    torch.export.save(free, tmp_path / "a.pt2")
    loaded = load_model(str(tmp_path / "a.pt2"))
    assert torch.equal(loaded(x[:3]), model(x[:3]))


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_weights_are_loaded(net: Path, suffix: str) -> None:
    state = {"0.weight": torch.full((3, 2), 7.0), "0.bias": torch.arange(3.0)}
    file = net.with_suffix(suffix)
    if suffix == ".pt":
        torch.save(state, file)
    else:
        save_file(state, file)
    loaded = load_model(f"{net}:factory", weights=file).state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in state.items())


# --- what bad input gets -----------------------------------------------------------------------


def test_a_source_without_a_factory_is_refused(net: Path) -> None:
    refused("is no model; expected path/to/file.py:factory", net)
    refused("is no model; expected", f"{net}:")
    refused("is no model; expected", "model.onnx")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    refused(r"nowhere\.py does not exist", f"{tmp_path}/nowhere.py:factory")
    refused(r"nowhere\.pt2 does not exist", tmp_path / "nowhere.pt2")


def test_a_missing_module_is_named() -> None:
    refused(r"there is no module no_such_module here; .*net\.py:factory", "no_such_module.a:f")
    refused(r"there is no module torch\.no_such_part here", "torch.no_such_part:f")


def test_a_misspelt_factory_shows_the_nearest_name(net: Path) -> None:
    refused(r"some_net\.py:factry is not there: did you mean factory\?", f"{net}:factry")


def test_a_name_near_nothing_lists_what_is_there(net: Path) -> None:
    refused("it defines Options, factory, Classifier, returns_a_list", f"{net}:zzz")


def test_what_is_no_factory_is_refused(net: Path) -> None:
    refused("SIZE is a int; expected a function without arguments", f"{net}:SIZE")
    refused(r"returned a list; expected a torch\.nn\.Module", f"{net}:returns_a_list")


def test_a_factory_that_fails_shows_why(net: Path) -> None:
    refused("failed when called: RuntimeError: no GPU here$", f"{net}:fails")
    refused("failed when called: TypeError: .*missing 1 required", f"{net}:needs_arguments")


def test_code_that_fails_shows_why(tmp_path: Path) -> None:
    file = tmp_path / "broken_net.py"
    file.write_text("1 / 0")
    refused(r"importing .*broken_net\.py failed: ZeroDivisionError: division", f"{file}:factory")
    assert "broken_net" not in sys.modules


def test_an_import_missing_within_the_users_code_is_not_the_users_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "needs_more.py").write_text("import no_such_dependency")
    monkeypatch.chdir(tmp_path)
    refused("importing needs_more failed: No module named 'no_such_dep", "needs_more:factory")


def test_a_foreign_pt2_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.pt2"
    file.write_bytes(b"hello")
    refused(r"a\.pt2 is not a program saved by torch\.export\.save", file)


def test_a_program_exported_for_one_batch_size_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.pt2"
    torch.export.save(torch.export.export(nn.Linear(2, 3), (torch.ones(4, 2),)), file)
    refused(r"was exported for batches of exactly 4 \(input\); export it with dynamic_shapes", file)


def test_an_exported_program_takes_no_weights(tmp_path: Path) -> None:
    refused("brings its own weights", tmp_path / "a.pt2", tmp_path / "a.pt")


def test_keys_that_do_not_fit_are_named(net: Path) -> None:
    file = net.with_suffix(".safetensors")
    save_file({f"{i}.weight": torch.zeros(3, 2) for i in range(6)}, file)
    refused(
        "does not fit the model: missing 0.bias; unexpected 1.weight, 2.weight, 3.weight and 2 mo",
        f"{net}:factory",
        file,
    )


def test_a_shape_that_does_not_fit_is_named(net: Path) -> None:
    file = net.with_suffix(".safetensors")
    save_file({"0.weight": torch.zeros(3, 5), "0.bias": torch.zeros(3)}, file)
    refused(r"0\.weight has the shape \(3, 5\), expected \(3, 2\)", f"{net}:factory", file)


def test_a_damaged_weights_file_is_refused(net: Path) -> None:
    for suffix in (".safetensors", ".pt"):
        file = net.with_suffix(suffix)
        file.write_bytes(b"hello")
        refused(rf"some_net\{suffix} (cannot be read|is damaged)", f"{net}:factory", file)


class RunsCode:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("executed",)


def test_a_pickle_is_not_executed(net: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = net.with_suffix(".pt")
    torch.save({"0.weight": RunsCode()}, file)
    refused("nothing in it is executed: save model.state_dict", f"{net}:factory", file)
    assert capsys.readouterr().out == ""


WEIGHTS = {"0.weight": torch.full((3, 2), 7.0), "0.bias": torch.arange(3.0)}


def prefixed(prefix: str) -> dict[str, Tensor]:
    return {f"{prefix}{name}": tensor for name, tensor in WEIGHTS.items()}


@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "model.", "net._orig_mod.module."])
@pytest.mark.parametrize(
    "keys", [(), ("state_dict",), ("model",), ("ema",), ("model_state_dict",), ("a", "model")]
)
def test_weights_under_keys_and_a_prefix_are_taken_and_it_is_said(
    net: Path, keys: tuple[str, ...], prefix: str
) -> None:
    content: dict[str, Any] = prefixed(prefix)
    for key in reversed(keys):
        content = {"epoch": 3, "optimizer": {"state": {}, "param_groups": []}, key: content}
    torch.save(content, net.with_suffix(".pt"))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        loaded = load_model(f"{net}:factory", weights=net.with_suffix(".pt")).state_dict()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in WEIGHTS.items())
    said = [str(warning.message) for warning in caught]
    assert len(said) == bool(keys or prefix)
    assert all(repr(part) in said[0] for part in (*keys, *[prefix] * bool(prefix)))


def test_the_weights_of_an_averaged_model_are_taken(net: Path) -> None:
    torch.save({"n_averaged": torch.tensor(4), **prefixed("module.")}, net.with_suffix(".pt"))
    with pytest.warns(UserWarning, match="under the prefix 'module.'"):
        load_model(f"{net}:factory", weights=net.with_suffix(".pt"))


def test_of_two_sets_of_weights_none_is_chosen(net: Path) -> None:
    other = {name: tensor + 1 for name, tensor in WEIGHTS.items()}
    torch.save({"model": WEIGHTS, "ema": other}, net.with_suffix(".pt"))
    sentence = r"several sets of weights that fit: the key \['model'\]; the key \['ema'\]; save one"
    refused(sentence, f"{net}:factory", net.with_suffix(".pt"))


def test_a_checkpoint_that_does_not_fit_says_where_it_looked(net: Path) -> None:
    torch.save({"state_dict": {"module.0.weight": torch.zeros(3, 2)}}, net.with_suffix(".pt"))
    sentence = (
        r"under the key \['state_dict'\] and the prefix 'module.' does not fit the model: "
        r"missing 0.bias"
    )
    refused(sentence, f"{net}:factory", net.with_suffix(".pt"))


def test_what_holds_no_weights_is_named(net: Path) -> None:
    file = net.with_suffix(".pt")
    torch.save(torch.optim.SGD([torch.zeros(1)]).state_dict(), file)
    refused("holds the state of an optimizer", f"{net}:factory", file)
    torch.save({"epoch": 3, "loss": [1.0]}, file)
    refused("a dict with the keys epoch, loss, and no tensors by name", f"{net}:factory", file)
    torch.save([torch.zeros(1)], file)
    refused("holds a list; expected tensors by name", f"{net}:factory", file)


def test_missing_weights_are_named(net: Path) -> None:
    refused(r"nowhere\.pt does not exist", f"{net}:factory", net.parent / "nowhere.pt")
    refused("is a folder", f"{net}:factory", net.parent)
