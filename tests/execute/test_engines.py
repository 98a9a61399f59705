import sys
import warnings
from collections.abc import Iterator

import pytest
import torch

from tests.conformance.draft import Case, Draft
from zeropoint.arithmetic.integer import UINT8
from zeropoint.arithmetic.qparams import per_tensor
from zeropoint.errors import EngineError
from zeropoint.execute.engines import Engine, choose_engine, engines, make_executor
from zeropoint.execute.onednn import OneDnn, why_unusable
from zeropoint.execute.reference import Reference
from zeropoint.model import QuantizedModel
from zeropoint.ops.linear import Linear

REASON = "this torch was built without oneDNN"


@pytest.fixture
def no_kernels(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A torch without oneDNN."""
    why_unusable.cache_clear()
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    yield
    why_unusable.cache_clear()


@pytest.fixture
def all_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with the kernels, whichever machine this is."""
    monkeypatch.setattr("zeropoint.execute.engines.why_no_onednn", lambda: None)


def program() -> Case:
    draft = Draft(seed=0)
    x = draft.activation((3, 4), per_tensor(0.1, 20, UINT8))
    return draft.case(draft.layer(Linear(), x, (2, 4), None))


@pytest.mark.usefixtures("all_kernels")
def test_engines_are_listed_in_the_order_in_which_ties_are_decided() -> None:
    assert [engine.name for engine in engines()] == [
        "onednn",
        "openvino",
        "onnxruntime",
        "reference",
    ]
    assert engines()[0] == Engine("onednn", True)
    assert engines()[-1] == Engine("reference", True)


@pytest.mark.usefixtures("no_kernels")
def test_an_engine_that_is_not_usable_is_listed_with_its_reason() -> None:
    assert engines()[0] == Engine("onednn", False, REASON)


@pytest.mark.usefixtures("all_kernels")
def test_a_program_for_auto_is_made_for_the_first_usable_engine() -> None:
    assert choose_engine("auto") == "onednn"


@pytest.mark.parametrize("name", ["onednn", "reference"])
@pytest.mark.usefixtures("all_kernels")
def test_an_engine_is_chosen_by_name(name: str) -> None:
    assert choose_engine(name) == name


def test_an_unknown_engine_is_an_error_that_lists_the_known_ones() -> None:
    known = "auto, onednn, openvino, onnxruntime, reference"
    with pytest.raises(EngineError, match=f"no engine 'tensorrt'; choose one of {known}"):
        choose_engine("tensorrt")


@pytest.mark.usefixtures("no_kernels")
def test_an_engine_that_is_not_usable_is_an_error_with_its_reason() -> None:
    with pytest.raises(EngineError, match=f"the onednn engine is not usable: {REASON}"):
        choose_engine("onednn")
    with pytest.raises(EngineError, match=REASON):
        QuantizedModel(program().program, "onednn")


@pytest.mark.parametrize(
    ("engine", "package", "extra"),
    [
        ("openvino", "openvino", "openvino"),
        ("onnxruntime", "onnxruntime", "onnx"),
        ("onnxruntime", "onnx", "onnx"),
    ],
)
def test_an_engine_that_is_not_installed_names_the_extra_that_brings_it(
    engine: str, package: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if engine == "onnxruntime":
        pytest.importorskip("onnxruntime")
    monkeypatch.setitem(sys.modules, package, None)
    found = next(each for each in engines() if each.name == engine)
    reason = f"the package {package} is not installed: pip install 'zeropoint[{extra}]'"
    assert found == Engine(engine, False, reason)
    with pytest.raises(EngineError, match=f"the {engine} engine is not usable: the package"):
        choose_engine(engine)


@pytest.mark.usefixtures("no_kernels")
def test_without_kernels_a_model_runs_on_the_reference_with_one_warning() -> None:
    case = program()
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        model = QuantizedModel(case.program)
        answers = [model(*case.inputs) for _ in range(3)]
    (expected,) = Reference(case.program).run(case.inputs)
    assert model.engine == "reference"
    assert all(torch.equal(answer, expected) for answer in answers)
    assert len(heard) == 1
    assert heard[0].category is RuntimeWarning
    assert str(heard[0].message) == (
        f"{REASON}; running on the reference engine, which is exact but slow"
    )
    assert heard[0].filename == __file__  # it points at whoever asked for the model


@pytest.mark.usefixtures("no_kernels")
def test_the_reference_by_name_needs_no_warning() -> None:
    assert QuantizedModel(program().program, "reference").engine == "reference"


def test_every_engine_has_its_executor() -> None:
    case = program()
    assert isinstance(make_executor(case.program, "reference"), Reference)
    if why_unusable() is None:
        assert isinstance(make_executor(case.program, "onednn"), OneDnn)
