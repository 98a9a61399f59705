import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import zeropoint as zp
from tests.nets import Residual, images, seeded
from zeropoint.arithmetic.requantize import FixedPoint
from zeropoint.errors import EngineError, FileError
from zeropoint.execute import engines, files
from zeropoint.execute.executor import Executor
from zeropoint.execute.openvino import why_unusable as without_openvino
from zeropoint.execute.reference import Reference
from zeropoint.export.openvino import rows as rows_of_openvino
from zeropoint.export.openvino.movement import extents
from zeropoint.graph.value import Value
from zeropoint.ops.linear import Linear
from zeropoint.program.program import Program
from zeropoint.report.verify import verify


@pytest.fixture(scope="module")
def q() -> zp.QuantizedModel:
    return zp.quantize(seeded(Residual()), [images()], engine="reference")


class OffByTwo(Executor):
    """An engine whose every output is wrong by two codes."""

    def __init__(self, program: Program) -> None:
        self._program, self._reference = program, Reference(program)

    def run(self, inputs: Sequence[Tensor]) -> tuple[Any, ...]:
        outputs = self._reference.run(inputs)
        values, producers = self._program.graph.values, self._program.graph.producers
        names = [producers[name].inputs[0] for name in self._program.graph.outputs]
        scales = [values[name].params.scale.max() for name in names]  # type: ignore[union-attr]
        return tuple(x + 2 * scale for x, scale in zip(outputs, scales, strict=True))


def with_engine(monkeypatch: pytest.MonkeyPatch, make: Any) -> None:  # Program -> Executor
    monkeypatch.setitem(engines._MAKERS, "reference", make)


def test_the_reference_is_the_reference_exactly(q: zp.QuantizedModel) -> None:
    certificate = verify(q, [images(seed=1)], engines=["reference"])
    check = certificate.checks[0]
    assert certificate.passes
    assert certificate.samples == 4
    assert check.integers.differing == check.flips == check.outputs_differing == 0
    assert check.integers.compared > 1000
    assert check.profile == "float32, exactly"
    assert {each.value for each in check.operators} == {
        node.output for node in q.program.graph.nodes if q.program.is_integer(node)
    } - {"x.quantized"}


def test_the_profile_that_an_engine_follows_is_found(
    q: zp.QuantizedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_engine(monkeypatch, lambda program: Reference(program, FixedPoint("double")))
    (check,) = verify(q, [images(32, seed=1)], engines=["reference"]).checks
    assert check.profile == "fixed point, double, exactly"


def test_an_engine_that_computes_something_else_fails_and_says_where(
    q: zp.QuantizedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_engine(monkeypatch, OffByTwo)
    certificate = verify(q, [images(seed=1)], engines=["reference"])
    (check,) = certificate.checks
    assert not certificate.passes
    assert check.integers.largest >= 2
    assert check.worst is not None
    assert "FAILS" in str(certificate)


def test_an_engine_that_cannot_run_the_program_is_a_row_with_the_reason(
    q: zp.QuantizedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(program: Program) -> Executor:
        raise EngineError("fc has 5-bit weights")

    with_engine(monkeypatch, refuse)
    certificate = verify(q, [images(seed=1)], engines=["reference"])
    assert not certificate.passes
    assert certificate.checks[0].failure == "fc has 5-bit weights"
    assert "reference: fc has 5-bit weights" in str(certificate)


def test_an_engine_that_does_not_exist_is_refused(q: zp.QuantizedModel) -> None:
    with pytest.raises(EngineError, match=r"'onedn'; choose one of .*; did you mean 'onednn'\?"):
        verify(q, [images()], engines=["onedn"])


def test_a_file_that_does_not_exist_is_a_row_with_the_reason(q: zp.QuantizedModel) -> None:
    certificate = verify(q, [images()], engines=[], files=["none.onnx"])
    assert "none.onnx does not exist" in certificate.checks[0].failure


def test_a_certificate_is_saved_as_json(q: zp.QuantizedModel, tmp_path: Path) -> None:
    certificate = verify(q, [images(seed=1)], engines=["reference"])
    certificate.save(tmp_path / "certificate.json")
    data = json.loads((tmp_path / "certificate.json").read_text())
    assert data == json.loads(json.dumps(certificate.to_dict()))
    assert data["passes"] is True
    assert data["checks"][0]["integers"]["differing"] == 0
    with pytest.raises(FileError, match="cannot be written"):
        certificate.save(tmp_path / "none" / "certificate.json")


def test_the_digest_tells_programs_apart(q: zp.QuantizedModel) -> None:
    other = zp.quantize(seeded(Residual(), seed=1), [images()], engine="reference")
    first, second = (verify(each, [images()], engines=[]).digest for each in (q, other))
    assert first != second


def test_a_file_whose_outputs_are_something_else_fails(
    q: zp.QuantizedModel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Zeros(Executor):
        def run(self, inputs: Sequence[Tensor]) -> tuple[Any, ...]:
            return tuple(0 * x for x in Reference(q.program).run(inputs))

    monkeypatch.setitem(files.OPENERS, ".zeros", lambda program, path: Zeros())
    (tmp_path / "model.zeros").touch()
    certificate = verify(q, [images(seed=1)], engines=[], files=[tmp_path / "model.zeros"])
    assert not certificate.passes
    assert certificate.checks[0].relative_difference == 1.0


def test_an_engine_that_is_wrong_for_a_single_sample_fails(
    q: zp.QuantizedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    class RightInBatches(Executor):
        def __init__(self, program: Program) -> None:
            self._reference, self._whole = Reference(program), bool(program.provenance.model)

        def run(self, inputs: Sequence[Tensor]) -> tuple[Any, ...]:
            outputs = self._reference.run(inputs)
            alone = self._whole and len(inputs[0]) == 1
            return tuple(-x for x in outputs) if alone else outputs

    with_engine(monkeypatch, RightInBatches)
    (check,) = verify(q, [images(seed=1)], engines=["reference"]).checks
    assert not check.passes
    assert check.integers.differing == check.flips == 0


def test_an_output_that_is_not_a_number_fails(
    q: zp.QuantizedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    class NotANumber(Executor):
        def __init__(self, program: Program) -> None:
            self._reference, self._whole = Reference(program), bool(program.provenance.model)

        def run(self, inputs: Sequence[Tensor]) -> tuple[Any, ...]:
            outputs = self._reference.run(inputs)
            return tuple(x / 0 * 0 for x in outputs) if self._whole else outputs

    with_engine(monkeypatch, NotANumber)
    (check,) = verify(q, [images(seed=1)], engines=["reference"]).checks
    assert not check.passes
    assert check.failure == "an output is not finite"


def with_scales_behind_a_reshape(
    op: Linear, operands: Sequence[Any], values: Sequence[Value], result: Value
) -> Any:
    """A linear layer that OpenVINO computes rightly for every size but an unknown one."""
    from openvino import opset14 as ops

    x, weight, bias = operands
    outputs, features = values[1].shape
    pixels = ops.reshape(x, np.array([-1, features, 1, 1]), False)
    kernel = ops.reshape(weight, np.array([outputs, features, 1, 1]), False)
    y = ops.convolution(pixels, kernel, [1, 1], [0, 0], [0, 0], [1, 1])
    size = ops.concat([extents(ops.shape_of(x), 0, 2), ops.constant(np.array([outputs]))], 0)
    return ops.add(ops.reshape(y, size, False), bias)


@pytest.mark.skipif(without_openvino() is not None, reason=str(without_openvino()))
def test_a_file_that_is_wrong_for_sizes_it_was_not_compiled_for_fails(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    rows = [torch.randn(8, 6, 4, generator=torch.Generator().manual_seed(0))]
    linear = zp.quantize(seeded(nn.Sequential(nn.Linear(4, 6))), rows, engine="reference")
    linear.export(tmp_path / "right.xml")
    monkeypatch.setattr(rows_of_openvino, "_by_convolution", with_scales_behind_a_reshape)
    linear.export(tmp_path / "wrong.xml")
    files = [tmp_path / "right.xml", tmp_path / "wrong.xml"]
    right, wrong = verify(linear, rows, engines=[], files=files).checks
    assert right.passes
    assert not wrong.passes


def test_an_engine_that_is_wrong_for_other_sizes_alone_fails(
    q: zp.QuantizedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    class RightOnce(Executor):
        def __init__(self, program: Program) -> None:
            self._reference, self._whole = Reference(program), bool(program.provenance.model)

        def run(self, inputs: Sequence[Tensor]) -> tuple[Any, ...]:
            outputs = self._reference.run(inputs)
            other = self._whole and inputs[0].shape[2] != 8
            return tuple(-x for x in outputs) if other else outputs

    with_engine(monkeypatch, RightOnce)
    (check,) = verify(q, [images(seed=1)], engines=["reference"]).checks
    assert not check.passes


class Answers(nn.Module):
    """A class, a truth value, sizes, and nothing at all, beside scores."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor) -> Any:
        y = self.conv(x).mean((2, 3))
        return {
            "scores": y,
            "class": y.argmax(1),
            "large": y > 0,
            "count": x.shape[0],
            "none": None,
        }


def test_outputs_that_are_no_real_numbers_are_compared() -> None:
    answers = zp.quantize(seeded(Answers()), [images()], engine="reference")
    certificate = verify(answers, [images(seed=1)], engines=["reference"])
    assert certificate.checks[0].failure == ""
    assert certificate.passes
