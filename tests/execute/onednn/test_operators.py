"""Whether torch's kernels are the known ones, and what is said where they are not."""

from collections.abc import Iterator

import pytest
import torch

from tests.conformance.draft import Draft
from zeropoint.arithmetic.integer import UINT8
from zeropoint.arithmetic.qparams import per_tensor
from zeropoint.errors import EngineError
from zeropoint.execute.onednn import OneDnn, operators, why_unusable


@pytest.fixture(autouse=True)
def _asked_anew() -> Iterator[None]:
    """The answer is remembered: these tests ask again, and leave nothing behind."""
    why_unusable.cache_clear()
    yield
    why_unusable.cache_clear()


@pytest.fixture
def vnni(monkeypatch: pytest.MonkeyPatch) -> None:
    """A CPU with the instructions, whichever CPU this is."""
    monkeypatch.setattr(torch.cpu, "_is_vnni_supported", lambda: True)


@pytest.mark.usefixtures("vnni")
def test_the_kernels_of_this_torch_are_the_known_ones() -> None:
    assert why_unusable() is None


@pytest.mark.usefixtures("vnni")
@pytest.mark.parametrize("name", ["qconv9d_pointwise", "qconv2d_pointwise.trinary"])
def test_a_missing_kernel_is_named_with_the_torch_that_has_it(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    overload = name.partition(".")[2] or "default"
    monkeypatch.setitem(operators.SCHEMAS, name, (overload, "qx"))
    assert why_unusable() == (f"torch {torch.__version__} has no onednn::{name}; torch 2.13 has it")


@pytest.mark.usefixtures("vnni")
def test_a_kernel_with_other_arguments_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(operators.SCHEMAS, "qlinear_prepack", ("default", "weight"))
    assert why_unusable() == (
        f"torch {torch.__version__} has another onednn::qlinear_prepack than torch 2.13"
    )


@pytest.mark.usefixtures("vnni")
def test_a_torch_without_onednn_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert why_unusable() == "this torch was built without oneDNN"


def test_preparing_a_program_without_kernels_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    draft = Draft(seed=0)
    case = draft.case(draft.activation((1, 1), per_tensor(0.1, 0, UINT8)))
    with pytest.raises(EngineError, match=r"onednn engine is not usable: .* without oneDNN"):
        OneDnn(case.program)


@pytest.mark.usefixtures("vnni")
def test_torch_s_deprecation_warning_is_not_heard() -> None:
    why_unusable()
    torch.quantize_per_tensor(torch.zeros(1), 1.0, 0, torch.quint8)  # warnings are errors here
