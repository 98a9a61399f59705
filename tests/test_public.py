import inspect
import types
from pathlib import Path

import pytest

import zeropoint as zp
from zeropoint import errors


def test_all_lists_every_public_name_and_no_other() -> None:
    public = {
        name
        for name, value in vars(zp).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
    }
    # Of the folders one is public: `train`, whose own names are listed there.
    assert public | {"__version__", "train"} == set(zp.__all__)


def test_all_is_sorted_as_ruff_sorts_it_and_has_no_name_twice() -> None:
    assert len(zp.__all__) == len(set(zp.__all__))


@pytest.mark.parametrize("name", [name for name in zp.__all__ if name != "__version__"])
def test_every_public_object_says_what_it_is(name: str) -> None:
    thing = getattr(zp, name)
    documentation = inspect.getdoc(thing)
    assert documentation
    # Not the docstring that dataclasses make from the fields.
    assert not documentation.startswith(f"{name}(")


@pytest.mark.parametrize("name", [name for name in zp.__all__ if name != "__version__"])
def test_every_public_method_says_what_it_does(name: str) -> None:
    thing = getattr(zp, name)
    if not inspect.isclass(thing):
        return
    for method, value in vars(thing).items():
        if not method.startswith("_") and (
            inspect.isfunction(value) or isinstance(value, property)
        ):
            assert inspect.getdoc(value), f"{name}.{method}"


def test_the_design_is_all_there() -> None:
    promised = {"quantize", "compare", "load", "engines", "Recipe", "TensorSpec", "PerChannel"}
    promised |= {"MovingAverage", "Sigma", "Percentile", "Entropy", "Best", "Statistics", "observe"}
    assert promised | {"PerTensor", "MinMax", "MSE"} <= set(zp.__all__)


def test_observe_is_the_function_though_a_folder_has_its_name() -> None:
    assert inspect.isfunction(zp.observe)


def test_every_error_is_public_and_derives_from_one_root() -> None:
    ours = {
        name: value
        for name, value in vars(errors).items()
        if inspect.isclass(value) and issubclass(value, Exception)
    }
    assert ours.keys() <= set(zp.__all__)
    for error in ours.values():
        assert issubclass(error, zp.ZeropointError)


def test_the_tree_in_the_docstring_has_every_error() -> None:
    assert errors.__doc__ is not None
    for name in vars(errors):
        if name.endswith("Error"):
            assert name in errors.__doc__


def test_the_version_is_that_of_the_project() -> None:
    project = (Path(__file__).parents[1] / "pyproject.toml").read_text()
    assert f'version = "{zp.__version__}"' in project


def test_types_are_published() -> None:
    assert Path(zp.__file__).with_name("py.typed").is_file()
