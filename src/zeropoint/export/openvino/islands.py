"""Operators of float islands, by OpenVINO's own frontend for PyTorch: each traced alone.

    Opaque --> torch.jit.trace --> OpenVINO's frontend --> its nodes, on our operands

The frontend does not look at every argument (to it a softplus with another beta is the usual one),
so what it makes of an operator is compared with torch on random numbers before it is trusted.
"""

import warnings
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from zeropoint.export.openvino.package import core
from zeropoint.graph.value import Shape, Size, Value
from zeropoint.ops.opaque import Opaque

Output = Any  # an openvino.Output: the package is optional and its types are generated

USUAL_NAMES = {
    "aten._softmax.default": "aten.softmax.int",
    "aten._log_softmax.default": "aten.log_softmax.int",
}
"""Operators that the frontend knows by another name, with one argument less."""

FREE_SIZE = 16
"""Of an image whose size is free, where an operator is tried."""

FREE_BATCH = 2
CLOSE = 1e-4
"""OpenVINO's approximations of exp and the like, relatively and absolutely."""


def island_refusal(op: Opaque, operands: Sequence[Value]) -> str | None:
    """Why the operator cannot be written; None if it can, or OpenVINO is not here to be asked."""
    try:
        import openvino  # noqa: F401
    except ImportError:
        return None
    if any(isinstance(value.type, Size) for value in operands):
        return f"{op.target} of a size that is computed"
    return _refusal(op, tuple(_sizes(value.shape) for value in operands))


def island(op: Opaque, operands: Sequence[Output], values: Sequence[Value]) -> list[Output]:
    """The operator's results on real numbers."""
    model = _converted(op, [torch.zeros(_sizes(value.shape)) for value in values])
    for parameter, operand in zip(model.get_parameters(), operands, strict=True):
        for reader in parameter.output(0).get_target_inputs():
            reader.replace_source_output(operand)
    return [result.input_value(0) for result in model.get_results()]


def _sizes(shape: Shape) -> tuple[int, ...]:
    free = [FREE_SIZE if axis else FREE_BATCH for axis in range(len(shape))]
    return tuple(n if isinstance(n, int) else usual for n, usual in zip(shape, free, strict=True))


@cache
def _refusal(op: Opaque, shapes: tuple[tuple[int, ...], ...]) -> str | None:
    random = torch.Generator().manual_seed(0)
    examples = [torch.randn(shape, generator=random) for shape in shapes]
    try:
        found = _run(_converted(op, examples), examples)
    except Exception as error:  # torch's, the frontend's and the plugin's have no common class
        return f"{op.target}, which OpenVINO does not take: {_last_line(error)}"
    expected = _Call(op)(*examples)
    pairs = zip(found, expected, strict=True)
    if all(np.allclose(ours, y.numpy(), CLOSE, CLOSE, equal_nan=True) for ours, y in pairs):
        return None
    return f"{op.target} with these arguments, of which OpenVINO makes something else"


def _converted(op: Opaque, examples: list[Tensor]) -> Any:  # an openvino.Model
    # What openvino.convert_model does, without its telemetry.
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    trace: Any = torch.jit.trace  # untyped
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a tracer's
        traced = trace(_Call(op), tuple(examples), check_trace=False)
        decoder = TorchScriptPythonDecoder(traced, example_input=tuple(examples))
        frontend = FrontEndManager().load_by_framework("pytorch")
        return frontend.convert(frontend.load(decoder))


class _Call(nn.Module):
    def __init__(self, op: Opaque) -> None:
        super().__init__()
        usual = USUAL_NAMES.get(op.target)
        self._op = Opaque(usual, op.arguments[:-1]) if usual else op

    def forward(self, *operands: Tensor) -> tuple[Tensor, ...]:
        results = self._op.run(*operands)
        return results if isinstance(results, tuple) else (results,)


def _run(model: Any, examples: list[Tensor]) -> list[Any]:  # numpy arrays
    model.reshape({index: list(x.shape) for index, x in enumerate(examples)})
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    compiled = core().compile_model(model, "CPU", settings)
    results = compiled([x.numpy() for x in examples])
    return [results[index] for index in range(len(compiled.outputs))]


def _last_line(error: Exception) -> str:
    lines = [line.strip(" -") for line in str(error).splitlines() if line.strip(" -")]
    return lines[-1] if lines else type(error).__name__
