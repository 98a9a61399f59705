import pytest
import torch

from tests.export.onnx.aten import comparisons, makers, recurrent, statistics
from tests.export.onnx.calls import IMAGE, Call, X, Y, Z, listed
from tests.export.onnx.runtime import NEWEST_OF_ONNX_RUNTIME, run_model
from zeropoint.errors import ExportError
from zeropoint.execute.onnxruntime import why_unusable
from zeropoint.execute.reference import Reference
from zeropoint.export.onnx import to_onnx
from zeropoint.export.onnx.aten.rules import RULES

pytestmark = pytest.mark.skipif(why_unusable() is not None, reason=str(why_unusable()))

ROWS = (3, 6)
CHANNELS = (IMAGE[1],)
UNARY = (
    *("abs", "ceil", "cos", "erf", "exp", "floor", "neg", "relu", "round", "sigmoid", "sign"),
    *("sin", "tanh", "silu", "hardsigmoid", "hardswish", "gelu", "mish", "softplus", "elu"),
    *("leaky_relu", "contiguous", "clone"),
)
POSITIVE = ("log", "reciprocal", "rsqrt", "sqrt")
CALLS = [
    *[Call(f"aten.{name}.default", (X,)) for name in UNARY],
    *[Call(f"aten.{name}.default", (X,), positive=True) for name in POSITIVE],
    *[Call(f"aten.{name}.Tensor", (X, Y), (IMAGE, (1, 4, 1, 1))) for name in ("add", "sub", "mul")],
    *[Call(f"aten.{name}.Scalar", (X, 1.7)) for name in ("add", "sub", "mul", "div")],
    Call("aten.div.Tensor", (X, Y), (IMAGE, IMAGE), positive=True),
    Call("aten.add.Tensor", (X, Y), (IMAGE, IMAGE), (("alpha", 0.3),)),
    Call("aten.rsub.Scalar", (X, 1.0, 2)),
    Call("aten.pow.Tensor_Scalar", (X, 2)),
    Call("aten.pow.Tensor_Tensor", (X, Y), (IMAGE, IMAGE), positive=True),
    Call("aten.maximum.default", (X, Y), (IMAGE, IMAGE)),
    Call("aten.minimum.default", (X, Y), (IMAGE, IMAGE)),
    Call("aten.gelu.default", (X,), keywords=(("approximate", "tanh"),)),
    Call("aten.softplus.default", (X, 2.0)),
    Call("aten.leaky_relu.default", (X, 0.2)),
    Call("aten.prelu.default", (X, Y), (IMAGE, CHANNELS)),
    Call("aten.prelu.default", (X, Y), (IMAGE, (1,))),
    Call("aten.clamp.default", (X, -0.5, 0.3)),
    Call("aten.clamp.default", (X, None, 0.3)),
    Call("aten.clamp_min.default", (X, 0.3)),
    Call("aten.clamp.Tensor", (X, Y), (IMAGE, IMAGE)),
    Call("aten.softmax.int", (X, 1)),
    Call("aten._softmax.default", (X, -1, False)),
    Call("aten.log_softmax.int", (X, 1)),
    Call("aten._log_softmax.default", (X, 1, False)),
    Call("aten.mean.dim", (X, listed(1), True)),
    Call("aten.mean.dim", (X, listed(-1, -2))),
    Call("aten.sum.dim_IntList", (X, listed(1, 2), True)),
    Call("aten.amax.default", (X, listed(1), True)),
    Call("aten.amin.default", (X, listed(2, 3))),
    Call("aten.layer_norm.default", (X, listed(5), Y, Z), (IMAGE, (5,), (5,))),
    Call("aten.layer_norm.default", (X, listed(6, 5), None, None, 1e-3)),
    Call("aten.group_norm.default", (X, 2, Y, Z), (IMAGE, CHANNELS, CHANNELS)),
    Call("aten.matmul.default", (X, Y), (IMAGE, (5, 3))),
    Call("aten.mm.default", (X, Y), (ROWS, (6, 2))),
    Call("aten.bmm.default", (X, Y), ((2, 3, 4), (2, 4, 3))),
    Call("aten.linear.default", (X, Y, Z), (ROWS, (2, 6), (2,))),
    Call("aten.linear.default", (X, Y), ((2, 3, 4), (7, 4))),
    Call("aten.conv1d.default", (X, Y, Z, listed(2), listed(1)), ((2, 3, 9), (4, 3, 3), (4,))),
    Call("aten.conv2d.default", (X, Y, None, listed(2, 1)), (IMAGE, (3, 4, 3, 2))),
    Call("aten.conv3d.default", (X, Y), ((1, 2, 4, 4, 4), (3, 2, 2, 2, 2))),
    Call("aten.conv_transpose1d.default", (X, Y, None, listed(2)), ((2, 3, 9), (3, 4, 3))),
    Call(
        "aten.conv_transpose2d.input",
        (X, Y, Z, listed(2, 2), listed(1, 1), listed(1, 1), 2),
        (IMAGE, (4, 3, 3, 3), (6,)),
    ),
    Call("aten.transpose.int", (X, 1, -1)),
    Call("aten.permute.default", (X, listed(0, 2, -1, 1))),
    Call("aten.unsqueeze.default", (X, -1)),
    Call("aten.squeeze.dim", (X, 2), ((2, 4, 1, 5),)),
    Call("aten.squeeze.dims", (X, listed(1, 2)), ((2, 4, 1, 5),)),
    Call("aten.slice.Tensor", (X, 1, 1, -1)),
    Call("aten.slice.Tensor", (X, -1, None, None, 2)),
    Call("aten.select.int", (X, 1, -1)),
    Call("aten.cat.default", (listed(X, Y), 1), (IMAGE, IMAGE)),
    Call("aten.split.Tensor", (X, 3, 1)),
    Call("aten.split_with_sizes.default", (X, listed(1, 3), 1)),
    Call("aten.chunk.default", (X, 2, 1)),
    Call("aten.expand.default", (X, listed(-1, 4, 6, 5)), ((2, 4, 1, 5),)),
    Call("aten.view.default", (X, listed(-1, 30))),
    Call("aten.reshape.default", (X, listed(2, 4, 30))),
    Call("aten.flatten.using_ints", (X, 1)),
    Call("aten.dropout.default", (X, 0.5, False)),
    Call("aten.upsample_nearest2d.vec", (X, None, listed(2.0, 3.0))),
    Call("aten.upsample_nearest2d.vec", (X, listed(9, 10), None)),
    Call("aten.upsample_nearest2d.default", (X, listed(12, 10), 2.0, 2.0)),
    Call("aten.upsample_bilinear2d.vec", (X, listed(9, 11), False, None)),
    Call("aten.upsample_bilinear2d.vec", (X, None, True, listed(2.0, 2.0))),
    Call("aten.upsample_bicubic2d.vec", (X, None, False, listed(2.0, 2.0))),
    Call("aten.pixel_shuffle.default", (X, 2)),
    Call("aten.pad.default", (X, listed(1, 2, 0, 1))),
    Call("aten.pad.default", (X, listed(1, 2), "constant", 0.5)),
    Call("aten.pad.default", (X, listed(1, 2, 2, 1), "reflect")),
    Call("aten.pad.default", (X, listed(1, 2, 2, 1), "replicate")),
    Call("aten.clamp_min.Tensor", (X, Y), (IMAGE, (1, 4, 1, 1))),
    Call("aten.clamp_max.default", (X, 0.3)),
    *[Call(f"aten.{name}.default", (X,), positive=True) for name in ("log2", "log10", "log1p")],
    *[Call(f"aten.{name}.default", (X,)) for name in ("expm1", "square", "log_sigmoid", "selu")],
    *[Call(f"aten.{name}.default", (X,)) for name in ("tan", "atan", "sinh", "cosh", "asinh")],
    *[Call(f"aten.{name}.default", (X,)) for name in ("detach", "alias", "lift_fresh_copy")],
    *[
        Call("aten.glu.default", (X, 1)),
        Call("aten.glu.default", (X, 2)),
        Call("aten.pow.Scalar", (1.3, X)),
        Call("aten.div.Tensor_mode", (X, Y), (IMAGE, IMAGE), (("rounding_mode", "trunc"),)),
        Call("aten.div.Scalar_mode", (X, 0.3), keywords=(("rounding_mode", "floor"),)),
        Call("aten.floor_divide.default", (X, Y), (IMAGE, IMAGE)),
        Call("aten.remainder.Tensor", (X, Y), (IMAGE, IMAGE)),
        Call("aten.remainder.Scalar", (X, 0.7)),
        Call("aten.rsub.Tensor", (X, Y), (IMAGE, IMAGE), (("alpha", 2),)),
    ],
    Call("aten.stack.default", (listed(X, Y), -1), (IMAGE, IMAGE)),
    Call("aten.concat.default", (listed(X, Y), 1), (IMAGE, IMAGE)),
    Call("aten.unbind.int", (X, 1), ((2, 3, 4),)),
    Call("aten.squeeze.default", (X,), ((2, 4, 1, 5),)),
    Call("aten.repeat.default", (X, listed(2, 1, 3)), ((2, 4),)),
    Call("aten.tile.default", (X, listed(1, 2)), ((2, 4),)),
    Call("aten.expand_as.default", (X, Y), ((2, 1, 6, 5), IMAGE)),
    Call("aten.view_as.default", (X, Y), (IMAGE, (2, 4, 30))),
    Call("aten.flip.default", (X, listed(1, -1))),
    Call("aten.roll.default", (X, listed(1, -2), listed(1, 2))),
    Call("aten.meshgrid.indexing", (listed(X, Y),), ((3,), (4,)), (("indexing", "xy"),)),
    Call("aten.meshgrid.default", (listed(X, Y),), ((3,), (4,))),
    Call("aten.unflatten.int", (X, 1, listed(2, 2))),
    Call("aten.flatten.using_ints", (X, 1, 2)),
    Call("aten.addmm.default", (X, Y, Z), ((2, 4), (2, 3), (3, 4)), (("alpha", 0.5),)),
    Call("aten.baddbmm.default", (X, Y, Z), ((2, 2, 4), (2, 2, 3), (2, 3, 4))),
    Call("aten.einsum.default", ("bchw,bkc->bkhw", listed(X, Y)), (IMAGE, (2, 3, 4))),
    Call("aten.conv_transpose3d.input", (X, Y), ((1, 2, 3, 3, 3), (2, 3, 2, 2, 2))),
    Call("aten.slice_scatter.default", (X, Y, 1, 1, 3), (IMAGE, (2, 2, 6, 5))),
    Call("aten.slice_scatter.default", (X, Y, 2, 2, 2**63 - 1), (IMAGE, (2, 4, 4, 5))),
    Call("aten.slice_scatter.default", (X, Y, 2, 0, -1), (IMAGE, (2, 4, 5, 5))),
    Call("aten.slice_scatter.default", (X, Y, 2, 1, None, 3), (IMAGE, (2, 4, 2, 5))),
    Call("aten.select_scatter.default", (X, Y, 1, 1), (IMAGE, (2, 6, 5))),
    Call("aten.select_scatter.default", (X, Y, -1, -1), (IMAGE, (2, 4, 6))),
    Call("aten.copy.default", (X, Y), (IMAGE, (1, 4, 1, 1))),
    Call("aten.triu.default", (X, 1)),
    Call("aten.gather.default", (X, 1, Y), (IMAGE, (2, 3, 6, 5)), indices=(1,)),
    Call("aten.index_select.default", (X, 1, Y), (IMAGE, (3,)), indices=(1,)),
    Call("aten.embedding.default", (X, Y), ((4, 3), (2, 5)), indices=(1,)),
    Call("aten.index.Tensor", (X, listed(None, Y)), (IMAGE, (3,)), indices=(1,)),
    Call("aten.index.Tensor", (X, listed(None, None, Y)), (IMAGE, (2, 2)), indices=(1,)),
    Call("aten.index.Tensor", (X, listed(Y, Z)), (IMAGE, (3, 1), (2,)), indices=(1, 2)),
    Call("aten.index.Tensor", (X, listed(None, Y, Z)), (IMAGE, (3, 1), (2,)), indices=(1, 2)),
    Call("aten.index.Tensor", (X, listed(Y, None, Z)), (IMAGE, (3,), (3,)), indices=(1, 2)),
    Call("aten.scatter.src", (X, 1, Y, Z), (IMAGE, (2, 1, 6, 5), (2, 1, 6, 5)), indices=(1,)),
    Call("aten.tril.default", (X, -1)),
    *comparisons.CALLS,
    *makers.CALLS,
    *statistics.CALLS,
    *recurrent.CALLS,
]
UNTESTED = {
    "aten.softsign.default",
    "aten.floor_divide.Scalar",
    *[f"aten.{name}.default" for name in ("asin", "acos", "acosh", "atanh")],
    *[f"aten.bitwise_{name}.Tensor" for name in ("and", "or", "xor")],
    *[f"aten.__{name}__.Tensor" for name in ("and", "or", "xor")],
    "aten.bitwise_not.default",
    "aten.grid_sampler.default",
    "aten.grid_sampler_2d.default",
    "aten.where.Scalar",
    *makers.UNREAD,
}
"""torch has no such call on float operands alone."""


@pytest.mark.parametrize("opset", [13, NEWEST_OF_ONNX_RUNTIME])
@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.target)
def test_an_island_gives_what_torch_gives(call: Call, opset: int) -> None:
    case = call.case()
    found = run_model(to_onnx(case.program, opset=opset), case)
    for ours, theirs in zip(found, Reference(case.program).run(case.inputs), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def test_every_rule_is_tested() -> None:
    assert RULES.keys() - UNTESTED == {call.target for call in CALLS}


def test_an_operator_without_a_rule_is_named() -> None:
    case = Call("aten.special_bessel_j0.default", (X,)).case()
    with pytest.raises(
        ExportError, match=r"opaque: aten\.special_bessel_j0\.default, which its writer does"
    ):
        to_onnx(case.program)


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (Call("aten.elu.default", (X, 1.0, 2.0)), "scale or input_scale"),
        (Call("aten.adaptive_max_pool2d.default", (X, listed(4, 2)), returned=1), "output_size"),
        (Call("aten.pad.default", (X, listed(1, 1, 1, 1), "circular")), "circular"),
        (Call("aten.chunk.default", (X, 2, 0)), "dimension 0 of its operand"),
    ],
)
def test_arguments_that_a_rule_cannot_write_are_named(call: Call, reason: str) -> None:
    with pytest.raises(ExportError, match=rf"opaque: {call.target}.*{reason}"):
        to_onnx(call.case().program)
