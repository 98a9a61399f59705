"""An ExportedProgram: the program in torch's own q / dq operators, for torch.export.load.

    x --> quantize_per_tensor --> dequantize_per_tensor --> conv2d --> quantize_per_tensor --> ...

The form that PT2E's quantizers produce, so that whatever lowers theirs lowers this. Between its
operators the numbers are those of the grids; run as it is, it simulates the program in float32.
"""

import io
import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from zeropoint.arithmetic.qparams import QParams
from zeropoint.atomic import write as write_file
from zeropoint.errors import ExportError
from zeropoint.export.format import Format
from zeropoint.graph.graph import Node
from zeropoint.graph.structure import nest
from zeropoint.graph.value import Plain, Shape, Value
from zeropoint.graph.walk import walk
from zeropoint.ops.quantize import Dequantize, Quantize
from zeropoint.program.program import Program

EXAMPLE_BATCH = 2
"""torch.export takes sizes of 0 and 1 for constants."""


def refusal(program: Program) -> str | None:
    """None: what torch can capture, torch can export."""
    return None


def write(program: Program, path: str | os.PathLike[str], **options: Any) -> None:
    """Write model.pt2, atomically; ExportError if torch cannot export the program."""
    exported = to_exported_program(program)
    buffer = io.BytesIO()
    torch.export.save(exported, buffer)
    write_file(path, lambda temporary: _write_bytes(temporary, buffer.getvalue()))


def _write_bytes(path: str, content: bytes) -> None:
    Path(path).write_bytes(content)


def _example(shape: Sequence[int], value: Value) -> Tensor:
    """An input of the shape of a sample, in a batch where the program takes any."""
    sizes = list(shape)
    if sizes and isinstance(value.shape[0], str):
        sizes[0] = EXAMPLE_BATCH
    return torch.zeros(sizes, dtype=value.type.dtype if isinstance(value.type, Plain) else None)


def to_exported_program(program: Program) -> torch.export.ExportedProgram:
    """The program as an ExportedProgram with the same inputs, outputs and dynamic sizes."""
    import torch.ao.quantization.fx._decomposed  # registers torch's q / dq operators

    shapes = program.provenance.input_shapes or tuple(
        tuple(size if isinstance(size, int) else 1 for size in program.graph.values[name].shape)
        for name in program.graph.inputs
    )
    declared = [program.graph.values[name].shape for name in program.graph.inputs]
    examples = tuple(
        _example(shape, program.graph.values[name])
        for name, shape in zip(program.graph.inputs, shapes, strict=True)
    )
    dynamic = tuple(_dynamic(shape) for shape in declared)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return torch.export.export(
                _Module(program), examples, dynamic_shapes=(dynamic,), strict=False
            )
        except Exception as error:  # torch.export raises a dozen types
            first = next(iter(str(error).splitlines()), type(error).__name__)
            raise ExportError(f"torch.export does not take the program: {first}") from error


def _dynamic(shape: Shape) -> dict[int, Any]:
    """Names are dynamic; a number is what it is."""
    auto = torch.export.Dim.AUTO
    return {axis: auto for axis, size in enumerate(shape) if not isinstance(size, int)}


@dataclass(frozen=True)
class _Numbers:
    """A grid as Python numbers, which tracing leaves alone: what torch's q and dq operators take.

    `slot` names the buffers of a constant; `axis` is its channels' axis, None for one scale.
    """

    low: int
    high: int
    dtype: torch.dtype
    scale: float = 1.0
    zero_point: int = 0
    axis: int | None = None
    slot: str = ""
    is_accumulator: bool = False

    def quantize(self, real: Tensor) -> Any:  # torch's operators are untyped
        return torch.ops.quantized_decomposed.quantize_per_tensor.default(
            real, self.scale, self.zero_point, self.low, self.high, self.dtype
        )

    def dequantize(self, q: Tensor) -> Any:
        return torch.ops.quantized_decomposed.dequantize_per_tensor.default(
            q, self.scale, self.zero_point, self.low, self.high, self.dtype
        )


class _Module(nn.Module):
    """The program as a module: codes live only between a quantize and the next dequantize."""

    def __init__(self, program: Program) -> None:
        super().__init__()
        self._graph, constants = program.graph, program.graph.constants
        slots = {name: f"constant_{index}" for index, name in enumerate(constants)}
        self._slots = slots
        self._grids: dict[str, _Numbers] = {}
        for name, tensor in constants.items():
            self.register_buffer(slots[name], tensor)
        for name, value in program.graph.values.items():
            if value.params is not None:
                self._grids[name] = self._numbers(value.params, slots.get(name, ""))

    def _numbers(self, params: QParams, slot: str) -> _Numbers:
        ends = params.low, params.high, params.type.storage
        wide = params.type.bits == 32 and not slot
        if params.axis is None:
            one = params.scale.item(), int(params.zero_point.item())
            return _Numbers(*ends, *one, slot=slot, is_accumulator=wide)
        if slot:
            self.register_buffer(f"{slot}_scale", params.scale)
            self.register_buffer(f"{slot}_zero_point", params.zero_point.to(torch.int64))
        return _Numbers(*ends, axis=params.axis, slot=slot, is_accumulator=wide)

    def forward(self, *inputs: Tensor) -> Any:  # nested as the float model nests them
        outputs = walk(self._graph, inputs, kernel=self._compute)
        return nest(self._graph.structure, outputs, plain=True)  # a file names no class

    def _compute(self, node: Node, operands: Sequence[Any]) -> Any:
        grid = self._grids.get(node.output)
        real = [self._real(name, x) for name, x in zip(node.inputs, operands, strict=True)]
        if isinstance(node.op, Dequantize):
            return real[0]
        result = real[0] if isinstance(node.op, Quantize) else node.op.run(*real)
        # An accumulator is the real number that it stands for.
        return result if grid is None or grid.is_accumulator else grid.quantize(result)

    def _real(self, name: str, x: Any) -> Any:
        """What a value stands for: codes are dequantized, real numbers and sizes as they are."""
        tensor = getattr(self, self._slots[name]) if name in self._slots else x
        grid = self._grids.get(name)
        if grid is None or grid.is_accumulator:
            return tensor
        if grid.axis is None:
            return grid.dequantize(tensor)
        return torch.ops.quantized_decomposed.dequantize_per_channel.default(
            tensor,
            getattr(self, f"{grid.slot}_scale"),
            getattr(self, f"{grid.slot}_zero_point"),
            grid.axis,
            grid.low,
            grid.high,
            grid.dtype,
        )


FORMAT = Format("torch.export", ".pt2", refusal, write)
