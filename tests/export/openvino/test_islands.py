import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.export.onnx.calls import IMAGE, Call, X, Y, listed
from tests.export.onnx.test_rules import CALLS
from zeropoint.errors import ExportError
from zeropoint.execute.openvino import OpenVino, why_unusable
from zeropoint.execute.reference import Reference
from zeropoint.export import export
from zeropoint.export.openvino import FORMAT, islands
from zeropoint.graph.value import Value
from zeropoint.ops.opaque import Opaque

pytestmark = pytest.mark.skipif(why_unusable() is not None, reason=str(why_unusable()))

MISREAD = Call("aten.softplus.default", (X, 2.0))
"""The frontend does not look at beta."""
NOWHERE = Call("aten.special_bessel_j0.default", (X,))


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.target)
def test_what_onnx_has_openvino_has(call: Call) -> None:
    assert FORMAT.refusal(call.case().program) is None  # it was run beside torch's


@pytest.mark.parametrize("call", CALLS[::10], ids=lambda call: call.target)
def test_an_island_gives_what_torch_gives(call: Call) -> None:
    case = call.case()
    found = OpenVino(case.program).run(case.inputs)
    for ours, theirs in zip(found, Reference(case.program).run(case.inputs), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_what_the_frontend_misreads_is_written_by_way_of_onnx() -> None:
    case = MISREAD.case()
    (found,) = OpenVino(case.program).run(case.inputs)
    torch.testing.assert_close(
        found, Reference(case.program).run(case.inputs)[0], rtol=1e-4, atol=1e-5
    )


def test_what_is_misread_without_another_way_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(islands, "_by_onnx", _without_onnx)
    islands._way.cache_clear()
    reason = FORMAT.refusal(MISREAD.case().program)
    islands._way.cache_clear()
    assert reason == (
        "opaque: aten.softplus.default with these arguments, of which OpenVINO makes something else"
    )


def _without_onnx(op: Opaque, operands: Sequence[Value]) -> Any:
    raise ImportError("No module named 'onnx'")


def test_what_the_frontend_does_not_know_is_refused_by_name() -> None:
    reason = FORMAT.refusal(NOWHERE.case().program)
    assert reason is not None
    assert reason.startswith("opaque: aten.special_bessel_j0.default, which OpenVINO does not take")


def test_a_refusal_names_the_formats_that_can(tmp_path: Path) -> None:
    message = r"OpenVINO IR cannot carry opaque: .*; formats that can: \.pt2$"
    with pytest.raises(ExportError, match=message):
        export(NOWHERE.case().program, tmp_path / "model.xml")
    assert not list(tmp_path.iterdir())


def test_without_the_package_there_is_nothing_to_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    assert FORMAT.refusal(MISREAD.case().program) is None


def test_every_result_of_an_operator_is_written() -> None:
    case = Call("aten.split_with_sizes.default", (X, listed(1, 3), 1)).case()
    found = OpenVino(case.program).run(case.inputs)
    assert [tuple(y.shape) for y in found] == [(2, 1, *IMAGE[2:]), (2, 3, *IMAGE[2:])]


def test_an_island_reads_constants() -> None:
    case = Call("aten.mul.Tensor", (X, Y), (IMAGE, (1, 4, 1, 1))).case()
    (found,) = OpenVino(case.program).run(case.inputs)
    torch.testing.assert_close(found, Reference(case.program).run(case.inputs)[0])
