"""A machine with VNNI, and the same told that it has none: what is refused, and what is said."""

import json
from pathlib import Path

import onnx
import pytest
import torch

import zeropoint as zp
from tests.conformance.draft import Draft, Fill
from tests.nets import images, seeded
from zeropoint import target
from zeropoint.arithmetic.integer import UINT8, IntegerType
from zeropoint.arithmetic.qparams import per_tensor
from zeropoint.errors import SaturationError
from zeropoint.execute.engines import engines, make_executor
from zeropoint.execute.saturation import refuse_wrapping_sums
from zeropoint.export.onnx import to_onnx
from zeropoint.export.onnx.unsigned import make_weights_unsigned
from zeropoint.model import QuantizedModel
from zeropoint.ops.linear import Linear


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A CPU without VNNI, as far as anybody here asks."""
    monkeypatch.setattr(target, "cpu", lambda: target.Cpu(is_x86=True))
    return monkeypatch


def network() -> torch.nn.Module:
    conv, head = torch.nn.Conv2d(3, 8, 3), torch.nn.Conv2d(8, 4, 1)
    return seeded(torch.nn.Sequential(conv, torch.nn.ReLU(), head))


@pytest.fixture(scope="module")
def wide() -> QuantizedModel:
    """With weights of 8 bits everywhere, as a machine with VNNI makes it."""
    return zp.quantize(network(), [images()], engine="reference")


def usable(name: str) -> None:
    reason = next(engine.reason for engine in engines() if engine.name == name)
    if reason:
        pytest.skip(reason)


@pytest.mark.parametrize("engine", ["onednn", "openvino"])
def test_engines_that_would_saturate_refuse_by_layer(
    wide: QuantizedModel, without: pytest.MonkeyPatch, engine: str
) -> None:
    usable(engine)
    with pytest.raises(SaturationError, match=f"0: this CPU has no VNNI.*in the {engine} engine"):
        wide.with_engine(engine)


def test_onnxruntime_computes_them_with_unsigned_weights(
    wide: QuantizedModel, without: pytest.MonkeyPatch
) -> None:
    usable("onnxruntime")
    x = images(seed=1)
    found = make_executor(wide.program, "onnxruntime").run([x])[0]
    assert torch.allclose(found, wide(x), atol=1e-5)


def test_every_weight_of_an_integer_operator_becomes_unsigned(wide: QuantizedModel) -> None:
    model = to_onnx(wide.program, form="qoperator", exact=True)
    make_weights_unsigned(model)
    types = {each.name: each.data_type for each in model.graph.initializer}
    convs = [node for node in model.graph.node if node.op_type in ("QLinearConv", "ConvInteger")]
    assert convs
    assert {types[n.input[3 if n.op_type == "QLinearConv" else 1]] for n in convs} == {
        onnx.TensorProto.UINT8
    }


def test_a_file_of_8_bits_loads_on_an_exact_engine_with_one_warning(
    wide: QuantizedModel, without: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    usable("onednn")
    wide.save(tmp_path / "wide.safetensors")
    with pytest.warns(RuntimeWarning, match="no VNNI.*; running on the") as seen:
        q = zp.load(tmp_path / "wide.safetensors", engine="onednn")
    assert len(seen) == 1
    assert q.engine in ("onnxruntime", "reference")


def test_of_an_exported_file_the_cpu_is_said_to_be_wrong(
    wide: QuantizedModel, without: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    usable("onnxruntime")
    path = tmp_path / "wide.onnx"
    wide.export(path)
    (check,) = zp.verify(wide, [images()], engines=[], files=[path]).checks
    assert "it is this CPU that adds wrongly, not the file that is wrong" in check.failure
    certificate = zp.verify(wide, [images()], engines=[], files=[path])
    assert "saturates" in str(certificate)
    assert "could not run" not in str(certificate)


@pytest.mark.parametrize(("zero_point", "wraps"), [(0, False), (255, False), (128, True)])
def test_sums_that_openvino_would_not_bring_back_are_refused(
    without: pytest.MonkeyPatch, zero_point: int, wraps: bool
) -> None:
    """255 times 63, 140,000 times, is beyond int32; the accumulator with z = 128 is not."""
    draft, features = Draft(seed=0), 140_000 if wraps else 130_000
    x = draft.activation((1, features), per_tensor(0.01, zero_point, UINT8))
    params = per_tensor(0.003, 0, IntegerType(7, signed=True))
    w = draft.constant("weight", draft.integers((1, features), params, Fill.HIGHEST), params)
    bias = draft.bias(x, w, torch.zeros(1))
    program = draft.case(draft.emit(Linear(), x, w, bias, params=bias.params)).program
    if not wraps:
        refuse_wrapping_sums(program)
        return
    with pytest.raises(
        SaturationError, match=r"linear: .* leave int32 before it takes off the zer"
    ):
        refuse_wrapping_sums(program)


def test_seven_bits_are_said_in_a_warning_the_plan_the_coverage_and_the_file(
    without: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    usable("onednn")
    with pytest.warns(UserWarning, match="channels of 2 layers get weights of 7 bits") as seen:
        q = zp.quantize(network(), [images()], engine="onednn")
    assert len(seen) == 1
    assert len(q.program.provenance.narrow) == 2
    q.save(tmp_path / "narrow.safetensors")
    for each in (q, zp.load(tmp_path / "narrow.safetensors", engine="onednn")):
        assert "channels (no VNNI)" in str(each.plan).replace("\n", " ")
        assert "channels with 7-bit weights" in str(each.coverage()).replace("\n", " ")
    if next(engine.usable for engine in engines() if engine.name == "onnxruntime"):
        kept = {each.key: each.value for each in to_onnx(q.program).metadata_props}
        assert json.loads(kept["zeropoint.narrow"]) == dict(q.program.provenance.narrow)


def test_with_vnni_nothing_is_said_and_nothing_is_narrow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(target, "cpu", lambda: target.Cpu(is_x86=True, vnni=target.VNNI))
    q = zp.quantize(network(), [images()], engine="reference")
    assert not q.plan.narrow
    assert "7-bit" not in str(q.coverage())
