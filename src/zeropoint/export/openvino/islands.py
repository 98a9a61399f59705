"""Operators of float islands: each written alone, by OpenVINO's own frontends.

    Opaque --> torch.jit.trace --> its frontend for PyTorch --> its nodes, on our operands
    Opaque --> export/onnx/aten --> its frontend for ONNX   --> the same

The first does not look at every argument (to it a softplus with another beta is the usual one), so
what it makes of an operator is compared with torch on random numbers before it is trusted; what it
does not take, or takes for something else, is asked of the second.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from zeropoint.export.onnx.island import input_name, island_model
from zeropoint.export.openvino.package import core
from zeropoint.graph.value import Plain, Shape, Size, Value
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


@dataclass(frozen=True)
class Written:
    """An operator as a model, and which of the operands its parameters are."""

    model: Any  # an openvino.Model
    reads: tuple[int, ...]


Way = Callable[[Opaque, Sequence[Value]], Written]


def island_refusal(op: Opaque, operands: Sequence[Value]) -> str | None:
    """Why the operator cannot be written; None if it can, or OpenVINO is not here to be asked."""
    try:
        import openvino  # noqa: F401
    except ImportError:
        return None
    way = _way(op, tuple(_key(value) for value in operands))
    return way if isinstance(way, str) else None


def island(op: Opaque, operands: Sequence[Output], values: Sequence[Value]) -> list[Output]:
    """The operator's results on real numbers."""
    way = _way(op, tuple(_key(value) for value in values))
    assert not isinstance(way, str)  # `island_refusal` says so
    written = way(op, values)
    for parameter, place in zip(written.model.get_parameters(), written.reads, strict=True):
        for reader in parameter.output(0).get_target_inputs():
            reader.replace_source_output(operands[place])
    return [result.input_value(0) for result in written.model.get_results()]


def _key(value: Value) -> Value:
    """What of an operand matters to how it is written."""
    sizes = () if isinstance(value.type, Size) else _sizes(value.shape)
    return Value("", value.type, sizes)


def _example(value: Value, random: torch.Generator) -> Any:  # a Tensor, or an int
    if not isinstance(value.type, Plain):
        return FREE_SIZE
    drawn = torch.randn(_sizes(value.shape), generator=random)
    if value.type.dtype.is_floating_point:
        return drawn.to(value.type.dtype)
    return (drawn > 0).to(value.type.dtype)


def _sizes(shape: Shape) -> tuple[int, ...]:
    free = [FREE_SIZE if axis else FREE_BATCH for axis in range(len(shape))]
    return tuple(n if isinstance(n, int) else usual for n, usual in zip(shape, free, strict=True))


@cache
def _way(op: Opaque, operands: tuple[Value, ...]) -> Way | str:
    """What writes the operator rightly, or why nothing does."""
    reason = _why_not(op, operands, _by_torch)
    if reason is None:
        return _by_torch
    return reason if _why_not(op, operands, _by_onnx) else _by_onnx


def _why_not(op: Opaque, operands: Sequence[Value], way: Way) -> str | None:
    random = torch.Generator().manual_seed(0)
    examples = [_example(value, random) for value in operands]
    try:
        expected = _Call(op)(*examples)
    except Exception as error:  # torch's have no common class
        return f"{op.target}, which is not to be tried: {_last_line(error)}"
    try:
        found = _run(way(op, operands), examples)
    except Exception as error:  # torch's, the frontend's and the plugin's have no common class
        return f"{op.target}, which OpenVINO does not take: {_last_line(error)}"
    if len(found) == len(expected) and all(map(_is_close, found, expected)):
        return None
    return f"{op.target} with these arguments, of which OpenVINO makes something else"


def _is_close(found: Any, expected: Tensor) -> bool:  # a numpy array
    return found.shape == tuple(expected.shape) and np.allclose(
        found, expected.numpy(), CLOSE, CLOSE, equal_nan=True
    )


def _by_torch(op: Opaque, operands: Sequence[Value]) -> Written:
    # What openvino.convert_model does, without its telemetry.
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    if not all(isinstance(value.type, Plain) for value in operands):
        raise ValueError("a size that is computed")  # the tracer would take it for a constant
    examples = tuple(_example(value, torch.Generator()) for value in operands)
    trace: Any = torch.jit.trace  # untyped
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a tracer's
        traced = trace(_Call(op), examples, check_trace=False)
        decoder = TorchScriptPythonDecoder(traced, example_input=examples)
        frontend = FrontEndManager().load_by_framework("pytorch")
        model = frontend.convert(frontend.load(decoder))
    return Written(model, tuple(range(len(operands))))


def _by_onnx(op: Opaque, operands: Sequence[Value]) -> Written:
    """The frontend drops what is not read."""
    model = core().read_model(island_model(op, operands))
    places = {input_name(place): place for place in range(len(operands))}
    return Written(model, tuple(places[x.get_friendly_name()] for x in model.get_parameters()))


class _Call(nn.Module):
    def __init__(self, op: Opaque) -> None:
        super().__init__()
        usual = USUAL_NAMES.get(op.target)
        self._op = Opaque(usual, op.arguments[:-1]) if usual else op

    def forward(self, *operands: Tensor) -> tuple[Tensor, ...]:
        results = self._op.run(*operands)
        return results if isinstance(results, tuple) else (results,)


def _run(written: Written, examples: list[Any]) -> list[Any]:  # numpy arrays
    model, chosen = written.model, [examples[place] for place in written.reads]
    arrays = [np.array([x]) if isinstance(x, int) else x.numpy() for x in chosen]
    model.reshape({index: list(x.shape) for index, x in enumerate(arrays)})
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    compiled = core().compile_model(model, "CPU", settings)
    results = compiled(arrays)
    return [results[index] for index in range(len(compiled.outputs))]


def _last_line(error: Exception) -> str:
    lines = [line.strip(" -") for line in str(error).splitlines() if line.strip(" -")]
    return lines[-1] if lines else type(error).__name__
