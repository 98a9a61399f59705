import re
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.conformance.draft import Case, Draft
from tests.export.onnx.runtime import evaluate_model, run_model
from tests.nets import Gated, Islands, MobileNetLike, Residual, images, lowered, seeded
from zeropoint.arithmetic.integer import UINT8, IntegerType
from zeropoint.arithmetic.qparams import per_tensor
from zeropoint.capture import capture
from zeropoint.errors import ExportError
from zeropoint.execute.onnxruntime import why_unusable
from zeropoint.execute.reference import Reference
from zeropoint.export import export
from zeropoint.export.onnx import to_onnx
from zeropoint.ops.conv import Conv2d
from zeropoint.ops.functions import Steps
from zeropoint.ops.linear import Linear
from zeropoint.ops.opaque import Opaque
from zeropoint.ops.quantize import Dequantize, Quantize
from zeropoint.passes import simplify
from zeropoint.recipe import Recipe

pytestmark = pytest.mark.skipif(why_unusable() is not None, reason=str(why_unusable()))

FORMS = ["qdq", "qoperator"]
NETS = [Residual, MobileNetLike, Gated, Islands]


def case_of(model: nn.Module, recipe: Recipe | None = None) -> Case:
    graph = simplify(capture(seeded(model), (images(),)))
    return Case(lowered(graph, images(), recipe=recipe), (images(2, seed=1),))


def operators(model: Any) -> list[str]:
    return [node.op_type for node in model.graph.node]


def one_layer(bits: int = 8) -> Case:
    draft = Draft(seed=0)
    x = draft.activation((3, 4), per_tensor(0.1, 2, IntegerType(bits, signed=False)))
    return draft.case(draft.layer(Linear(low=0.0), x, (2, 4), per_tensor(0.3, 0, UINT8)))


# --- what is written -----------------------------------------------------------------------------


def test_qdq_is_float_operators_between_dequantize_and_quantize() -> None:
    assert operators(to_onnx(one_layer().program)) == [
        "QuantizeLinear",
        "DequantizeLinear",
        "DequantizeLinear",
        "DequantizeLinear",
        "Gemm",
        "QuantizeLinear",
        "DequantizeLinear",
    ]


def test_qoperator_is_operators_on_integers() -> None:
    model = to_onnx(case_of(Residual()).program, form="qoperator", exact=False)
    found = operators(model)
    assert found.count("QLinearConv") == 6
    assert found.count("MatMulInteger") == 1
    assert not {"Conv", "Gemm"} & set(found)


def test_weights_are_int8_by_channel_biases_int32_activations_uint8() -> None:
    from onnx import TensorProto

    program = case_of(Residual()).program
    model = to_onnx(program)
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    assert stored["fc.weight"].data_type == TensorProto.INT8
    assert list(stored["fc.weight"].dims) == [5, 12]
    assert stored["fc.bias"].data_type == TensorProto.INT32
    for name in ("fc.weight", "fc.bias"):
        (node,) = (n for n in model.graph.node if n.input[0] == name)
        assert node.op_type == "DequantizeLinear"
        assert [a.i for a in node.attribute if a.name == "axis"] == [0]
        assert list(stored[node.input[1]].dims) == [5]
    described = {info.name: info.type.tensor_type.elem_type for info in model.graph.value_info}
    assert set(described.values()) == {TensorProto.UINT8}


def test_values_keep_their_names_and_the_batch_stays_free() -> None:
    program = case_of(Residual()).program
    model = to_onnx(program)
    assert [value.name for value in model.graph.input] == list(program.graph.inputs) == ["x"]
    assert [value.name for value in model.graph.output] == list(program.graph.outputs)
    sizes = model.graph.input[0].type.tensor_type.shape.dim
    assert [size.dim_param or size.dim_value for size in sizes] == ["N", 3, "H", "W"]
    written = {name for node in model.graph.node for name in node.output}
    wide = {node.output for node in program.graph.nodes if node.output == "fc"}
    assert {node.output for node in program.graph.nodes} - wide <= written


def test_the_provenance_is_in_the_file() -> None:
    model = to_onnx(one_layer().program)
    assert model.producer_name == "zeropoint"
    properties = {entry.key: entry.value for entry in model.metadata_props}
    assert properties.keys() >= {"zeropoint.model", "zeropoint.recipe", "zeropoint.input_shapes"}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("opset", [13, 17, 21, "newest"])
def test_every_opset_from_13_on_passes_the_checker(opset: int | str, form: str) -> None:
    import onnx

    wanted = onnx.defs.onnx_opset_version() if isinstance(opset, str) else opset
    model = to_onnx(case_of(Islands()).program, form=form, opset=wanted)
    onnx.checker.check_model(model, full_check=True)
    assert model.opset_import[0].version == wanted


# --- what it computes ----------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("net", NETS)
def test_onnx_runtime_gives_what_the_reference_gives(net: type[nn.Module], form: str) -> None:
    case = case_of(net())
    found = run_model(to_onnx(case.program, form=form), case)
    torch.testing.assert_close(found[0], Reference(case.program).run(case.inputs)[0])


@pytest.mark.filterwarnings("ignore")  # the evaluator divides by zero on its way to a result
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("net", [net for net in NETS if net is not Gated])  # it gathers 64 elements
def test_the_definition_of_onnx_gives_what_the_reference_gives(
    net: type[nn.Module], form: str
) -> None:
    case = case_of(net())
    found = evaluate_model(to_onnx(case.program, form=form, opset=21), case)
    torch.testing.assert_close(found[0], Reference(case.program).run(case.inputs)[0])


@pytest.mark.parametrize("form", FORMS)
def test_layers_that_the_recipe_keeps_float_are_float_in_onnx(form: str) -> None:
    case = case_of(Residual(), Recipe(overrides={"stem.*": None, "block2.*": None}))
    found = run_model(to_onnx(case.program, form=form), case)
    torch.testing.assert_close(found[0], Reference(case.program).run(case.inputs)[0])


def test_by_default_a_sum_with_an_addend_is_rounded_once() -> None:
    found = operators(to_onnx(case_of(Residual()).program))
    assert found.count("QuantizeLinear") == 8  # the input, six convolutions and the pool


def test_what_need_not_be_exact_rounds_twice_and_stays_near() -> None:
    case = case_of(Residual())
    exact, twice = to_onnx(case.program), to_onnx(case.program, exact=False)
    assert operators(twice).count("QuantizeLinear") == operators(exact).count("QuantizeLinear") + 2
    expected = Reference(case.program).run(case.inputs)[0]
    (found,) = run_model(twice, case)
    assert not torch.equal(found, expected)
    assert (found - expected).abs().max() < 0.05 * expected.abs().max()


def function_of_conv(function: Steps) -> Case:
    draft = Draft(seed=0)
    x = draft.activation((2, 3, 9, 9), per_tensor(0.02, 120, UINT8))
    op = Conv2d(padding=(1, 1), function=function)
    return draft.case(draft.layer(op, x, (8, 3, 3, 3), per_tensor(0.0571, 9, UINT8)))


@pytest.mark.parametrize("form", FORMS)
def test_by_default_a_function_sees_the_sum_and_otherwise_8_bits_of_it(form: str) -> None:
    case = function_of_conv((("silu", "x"),))
    expected = Reference(case.program).run(case.inputs)[0]
    exact, twice = (to_onnx(case.program, form=form, exact=exact) for exact in (True, False))
    assert torch.equal(run_model(exact, case)[0], expected)
    (found,) = run_model(twice, case)
    assert not torch.equal(found, expected)
    assert (found - expected).abs().max() < 2 * 0.0571


@pytest.mark.parametrize("form", FORMS)
def test_a_function_of_a_layer_that_onnx_does_not_have_is_refused_by_name(form: str) -> None:
    case = function_of_conv((("erfc", "x"),))
    message = r"conv2d: the function \(erfc\) of real numbers"
    with pytest.raises(ExportError, match=message):
        to_onnx(case.program, form=form)


@pytest.mark.parametrize("form", FORMS)
def test_without_fused_additions_both_ways_are_the_same(form: str) -> None:
    graph = simplify(capture(seeded(Residual()), (images(),)), fuse_additions=False)
    case = Case(lowered(graph, images()), (images(2, seed=1),))
    exact, other = (to_onnx(case.program, form=form, exact=exact) for exact in (True, False))
    assert operators(exact) == operators(other)
    assert exact.SerializeToString() == other.SerializeToString()


@pytest.mark.parametrize("form", FORMS)
def test_fewer_bits_are_bounded_by_a_clip(form: str) -> None:
    case = one_layer(bits=3)
    model = to_onnx(case.program, form=form)
    assert "Clip" in operators(model)
    assert torch.equal(run_model(model, case)[0], Reference(case.program).run(case.inputs)[0])


def test_a_float_that_two_outputs_share_has_both_names() -> None:
    draft = Draft(seed=0)
    x = draft.activation((3, 4), per_tensor(0.1, 2, UINT8))
    logits = draft.layer(Linear(), x, (2, 4), None)
    case = draft.case(logits, draft.emit(Dequantize(), logits))
    first, second = run_model(to_onnx(case.program), case)
    assert torch.equal(first, second)


# --- what is refused -----------------------------------------------------------------------------


def test_a_file_is_written_through_export_whole_or_not_at_all(tmp_path: Path) -> None:
    import onnx

    path = tmp_path / "model.onnx"
    path.write_text("the old one")
    export(one_layer().program, path, form="qoperator", opset=21)
    assert onnx.load(path).producer_name == "zeropoint"
    with pytest.raises(ExportError, match="ONNX cannot carry opaque"):
        export(without_a_rule().program, path)
    assert onnx.load(path).producer_name == "zeropoint"
    assert list(tmp_path.iterdir()) == [path]


def without_a_rule() -> Case:
    draft = Draft(seed=0)
    x = draft.input(draft.normal((2, 3)))
    y = draft.emit(Opaque("aten.erfinv.default", (("%", 0),)), x)
    z = draft.emit(Quantize(), y, params=per_tensor(0.1, 3, UINT8))
    return draft.case(z, islands={y.name: "it is tested"})


def test_integers_that_onnx_does_not_have_are_refused_by_name() -> None:
    draft = Draft(seed=0)
    x = draft.activation((3, 4), per_tensor(0.1, 2, IntegerType(12, signed=True)))
    with pytest.raises(ExportError, match="quantize: 12-bit integers"):
        to_onnx(draft.case(x).program)


def test_the_sum_that_leaves_is_no_integer_in_onnx() -> None:
    draft = Draft(seed=0)
    x = draft.activation((3, 4), per_tensor(0.1, 2, UINT8))
    model = to_onnx(draft.case(draft.layer(Linear(), x, (2, 4), None)).program)
    assert operators(model)[-1] == "Gemm"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"form": "tflite"}, "ONNX has no form 'tflite'; use one of qdq, qoperator"),
        ({"opset": 12}, "opset=12; ONNX export writes opset 13 on"),
        ({"opset": 1000}, "opset=1000; onnx .* knows"),
    ],
)
def test_options_that_do_not_exist_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ExportError, match=message):
        to_onnx(one_layer().program, **options)


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ExportError, match=re.escape("pip install 'zeropoint[onnx]'")):
        to_onnx(one_layer().program)
