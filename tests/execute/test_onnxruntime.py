import re
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.conformance.draft import Draft
from tests.nets import Islands, Residual, images, lowered, seeded
from zeropoint.arithmetic.integer import UINT8, IntegerType
from zeropoint.arithmetic.qparams import per_tensor
from zeropoint.capture import capture
from zeropoint.errors import EngineError
from zeropoint.execute.engines import engines
from zeropoint.execute.onnxruntime import OnnxFile, OnnxRuntime, why_unusable
from zeropoint.execute.reference import Reference
from zeropoint.export import export
from zeropoint.model import QuantizedModel
from zeropoint.ops.linear import Linear
from zeropoint.passes import simplify
from zeropoint.program.program import Program

needs_runtime = pytest.mark.skipif(why_unusable() is not None, reason=str(why_unusable()))


def residual() -> Program:
    return lowered(simplify(capture(seeded(Residual()), (images(),))), images())


@needs_runtime
def test_a_trace_holds_every_integer_as_the_reference_has_it() -> None:
    program = residual()
    expected: dict[str, Any] = {}
    Reference(program).trace([images()], expected.__setitem__)
    found = OnnxRuntime(program).trace([images()])
    integers = {n.output for n in program.graph.nodes if program.is_integer(n)} - {"fc"}
    assert integers <= found.keys()
    for name in integers:
        assert found[name].dtype == torch.uint8
        assert torch.equal(found[name], expected[name]), name


@needs_runtime
def test_a_trace_holds_the_real_numbers_of_islands() -> None:
    program = lowered(simplify(capture(seeded(Islands()), (images(),))), images())
    found = OnnxRuntime(program).trace([images()])
    assert found["norm"].dtype == torch.float32
    assert found.keys() >= set(program.graph.outputs)


@needs_runtime
def test_an_exported_file_runs_in_the_programs_place(tmp_path: Path) -> None:
    program, path = residual(), tmp_path / "model.onnx"
    export(program, path, exact=True, form="qoperator")
    (found,) = OnnxFile(path).run([images()])
    torch.testing.assert_close(found, Reference(program).run([images()])[0])


@needs_runtime
def test_a_model_moves_to_the_engine_and_back() -> None:
    q = QuantizedModel(residual(), "reference")
    moved = q.with_engine("onnxruntime")
    assert moved.engine == "onnxruntime"
    torch.testing.assert_close(moved(images()), q(images()))


@needs_runtime
def test_what_onnx_cannot_carry_is_told_as_an_engines_refusal() -> None:
    draft = Draft(seed=0)
    x = draft.activation((3, 4), per_tensor(0.1, 2, IntegerType(12, signed=True)))
    with pytest.raises(EngineError, match=r"engine cannot run this: .*quantize: 12-bit integers"):
        OnnxRuntime(draft.case(x).program)


@needs_runtime
def test_inputs_that_do_not_fit_are_an_engine_error() -> None:
    draft = Draft(seed=0)
    x = draft.activation((3, 4), per_tensor(0.1, 2, UINT8))
    case = draft.case(draft.layer(Linear(), x, (2, 4), None))
    with pytest.raises(EngineError, match="ONNX Runtime cannot run this"):
        OnnxRuntime(case.program).run([torch.zeros(3, 5)])


@needs_runtime
def test_a_file_that_is_no_model_is_an_engine_error(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(EngineError, match="ONNX Runtime cannot load the model"):
        OnnxFile(path)


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_a_missing_package_names_the_extra(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None if package == "onnxruntime" else sys)
    monkeypatch.setitem(sys.modules, package, None)
    message = f"the package {package} is not installed: pip install 'zeropoint[onnx]'"
    (engine,) = (engine for engine in engines() if engine.name == "onnxruntime")
    assert not engine.usable
    assert engine.reason == message
    with pytest.raises(EngineError, match=re.escape(message)):
        OnnxRuntime(residual())
