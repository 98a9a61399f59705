"""Calls of moments, orders, extremes and normalizations."""

from tests.export.onnx.calls import IMAGE, Call, X, Y, Z, listed

CHANNELS = (IMAGE[1],)
NONE_CORRECTED = (("correction", 0), ("keepdim", True))
CALLS = [
    Call("aten.var.correction", (X, listed(2, 3)), keywords=NONE_CORRECTED),
    Call("aten.std.correction", (X, listed(-1)), keywords=(("correction", 1),)),
    Call("aten.std.correction", (X, None)),
    Call("aten.var.dim", (X, listed(1), False)),
    Call("aten.std.dim", (X, listed(1, 2), True, True)),
    Call("aten.var.default", (X,)),
    Call("aten.std.default", (X, False)),
    Call("aten.linalg_vector_norm.default", (X, 2, listed(1), True)),
    Call("aten.linalg_vector_norm.default", (X, 1, listed(-1))),
    Call("aten.norm.ScalarOpt_dim", (X, 2, listed(1), True)),
    Call(
        "aten.instance_norm.default",
        (X, Y, Z, None, None, True, 0.1, 1e-5, False),
        (IMAGE, CHANNELS, CHANNELS),
    ),
    Call("aten.instance_norm.default", (X, None, None, None, None, True, 0.1, 1e-3, False)),
    Call(
        "aten.batch_norm.default",
        (X, None, Z, ("%", 1), ("%", 3), False, 0.1, 1e-5, False),
        (IMAGE, CHANNELS, CHANNELS, CHANNELS),
        positive=True,
    ),
    Call("aten.rms_norm.default", (X, listed(5), Y, 1e-5), (IMAGE, (5,))),
    Call("aten.rms_norm.default", (X, listed(6, 5))),
    Call("aten.topk.default", (X, 3, 1)),
    Call("aten.topk.default", (X, 2, -1, False)),
    Call("aten.sort.default", (X, 2)),
    Call("aten.sort.default", (X, 1, True)),
    *[Call(f"aten.{name}.default", (X, 1)) for name in ("argmax", "argmin")],
    Call("aten.argmax.default", (X, -1, True)),
    Call("aten.argmax.default", (X,)),
    *[Call(f"aten.{name}.dim", (X, 1, True)) for name in ("max", "min")],
    Call("aten.max.dim", (X, -1)),
    *[Call(f"aten.{name}.default", (X,)) for name in ("mean", "sum", "max", "min")],
    Call("aten.prod.default", (X,), ((1, 2, 3, 1),)),
    *[Call(f"aten.{name}.default", (X,)) for name in ("any", "all")],
    *[Call(f"aten.{name}.dim", (X, 1, True)) for name in ("any", "all")],
    Call("aten.cumsum.default", (X, 1)),
    Call("aten.logsumexp.default", (X, listed(1), True)),
    Call("aten.logsumexp.default", (X, listed(2, 3))),
    Call("aten.adaptive_max_pool1d.default", (X, listed(1)), ((2, 3, 6),), returned=1),
    Call("aten.adaptive_max_pool1d.default", (X, listed(3)), ((2, 3, 6),), returned=1),
    Call("aten.adaptive_max_pool2d.default", (X, listed(1, 1)), returned=1),
    Call("aten.adaptive_max_pool2d.default", (X, listed(3, 5)), returned=1),
    Call("aten.adaptive_max_pool3d.default", (X, listed(2, 1, 2)), ((2, 3, 4, 4, 4),), returned=1),
]
