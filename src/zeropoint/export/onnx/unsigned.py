"""Weights as unsigned bytes with a zero point of 128: the same numbers, other kernels.

ONNX Runtime multiplies unsigned by signed bytes with whatever the CPU has, and without VNNI adds
two products in 16 bits; two unsigned operands it widens to 16 bits first: nothing saturates.
"""

from typing import Any

WEIGHTS = {"QLinearConv": (3, 5), "ConvInteger": (1, 3), "MatMulInteger": (1, 3)}
"""Operators with a weight: where it is among the inputs, and where its zero point."""

OFFSET = 128


def make_weights_unsigned(model: Any) -> None:  # onnx.ModelProto, changed in place
    """Every int8 weight of an operator on integers as uint8."""
    initializers = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type not in WEIGHTS:
            continue
        weight, zero_point = WEIGHTS[node.op_type]
        node.input.extend([""] * (zero_point + 1 - len(node.input)))
        for place in (weight, zero_point):
            name = node.input[place]
            shifted = _shifted(model, initializers, name or _zero(model, initializers))
            node.input[place] = shifted


def _shifted(model: Any, initializers: dict[str, Any], name: str) -> str:
    """The name of a constant, less what is unsigned already, 128 higher."""
    from onnx import numpy_helper

    numbers = numpy_helper.to_array(initializers[name]) if name in initializers else None
    if numbers is None or numbers.dtype != "int8":
        return name
    unsigned = (numbers.astype("int16") + OFFSET).astype("uint8")
    return _put(model, initializers, f"{name}.unsigned", unsigned)


def _zero(model: Any, initializers: dict[str, Any]) -> str:
    import numpy as np

    return _put(model, initializers, "zero.signed", np.zeros((), "int8"))


def _put(model: Any, initializers: dict[str, Any], name: str, numbers: Any) -> str:
    from onnx import numpy_helper

    if name not in initializers:
        initializers[name] = numpy_helper.from_array(numbers, name)
        model.graph.initializer.append(initializers[name])
    return name
