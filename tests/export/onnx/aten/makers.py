"""Calls of what makes tensors of numbers."""

from tests.export.onnx.calls import IMAGE, Call, X, listed

SIZE = listed(2, 3)
FLOAT = (("dtype", ("dtype", "float32")),)
WHOLE = (("dtype", ("dtype", "int64")),)
ALONE = [
    Call("aten.arange.default", (5,), (), WHOLE),
    Call("aten.arange.default", (5,), (), FLOAT),
    Call("aten.arange.start", (2, 6), (), FLOAT),
    Call("aten.arange.start_step", (0.5, 6.0, 1.5), (), FLOAT),
    Call("aten.full.default", (SIZE, 2.5), (), FLOAT),
    Call("aten.zeros.default", (SIZE,), (), FLOAT),
    Call("aten.ones.default", (SIZE,), (), FLOAT),
    Call("aten.scalar_tensor.default", (1.5,), (), FLOAT),
]
"""Of no operand."""
CALLS = [
    *ALONE,
    Call("aten.full_like.default", (X, 0.7)),
    Call("aten.full_like.default", (X, 7), keywords=WHOLE),
    *[Call(f"aten.{name}_like.default", (X,), keywords=FLOAT) for name in ("zeros", "ones")],
    Call("aten.ones_like.default", (X,), keywords=(("dtype", ("dtype", "bool")),)),
    Call("aten.new_full.default", (X, SIZE, 1.5), (IMAGE,), FLOAT),
    *[Call(f"aten.new_{name}.default", (X, SIZE), (IMAGE,), FLOAT) for name in ("zeros", "ones")],
]
UNREAD = {
    "aten.empty.memory_format",
    "aten.empty_like.default",
    "aten.new_empty.default",
}
"""Whatever these hold is right."""
