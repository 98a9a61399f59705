"""Calls of comparisons, and of what is chosen by them."""

from tests.export.onnx.calls import IMAGE, Call, X, Y, Z

PAIR = (IMAGE, (1, 4, 1, 1))
CALLS = [
    *[Call(f"aten.{name}.Scalar", (X, 0.3)) for name in ("eq", "ne", "gt", "ge", "lt", "le")],
    *[Call(f"aten.{name}.Tensor", (X, Y), PAIR) for name in ("eq", "ne", "gt", "ge", "lt", "le")],
    *[
        Call(f"aten.logical_{name}.default", (X, Y), (IMAGE, IMAGE), masks=(1,))
        for name in ("and", "or", "xor")
    ],
    Call("aten.logical_not.default", (X,)),
    Call("aten.where.self", (Y, X, Z), (IMAGE, IMAGE, PAIR[1]), masks=(1,)),
    Call("aten.where.ScalarOther", (Y, X, 1.5), (IMAGE, IMAGE), masks=(1,)),
    Call("aten.where.ScalarSelf", (Y, 1.5, X), (IMAGE, IMAGE), masks=(1,)),
    Call("aten.masked_fill.Scalar", (X, Y, -2.5), PAIR, masks=(1,)),
    Call("aten.masked_fill.Scalar", (X, Y, float("-inf")), PAIR, masks=(1,)),
    Call("aten.masked_fill.Tensor", (X, Y, Z), (IMAGE, IMAGE, ()), masks=(1,)),
    Call("aten.isnan.default", (X,)),
    Call("aten.isinf.default", (X,)),
    Call("aten.to.dtype", (X, ("dtype", "int64"))),
    Call("aten.to.dtype", (X, ("dtype", "bool"))),
    Call("aten._to_copy.default", (X,), keywords=(("dtype", ("dtype", "int32")),)),
    Call("aten.type_as.default", (X, Y), PAIR, masks=(1,)),
    Call("aten.to.other", (X, Y), PAIR, masks=(1,)),
]
