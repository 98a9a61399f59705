"""A quantized model: a program, the engine that runs it, and everything one can ask about it."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from torch import Tensor

from zeropoint.ambient import is_plain, plain
from zeropoint.errors import EngineError
from zeropoint.execute.choosing import Choice, choose
from zeropoint.execute.engines import choose_engine, make_executor
from zeropoint.execute.executor import Executor
from zeropoint.export import export
from zeropoint.graph.structure import nest
from zeropoint.inputs import checked
from zeropoint.ops.quantize import Quantize
from zeropoint.plan import Accumulator, Bias, Entry, Own, Plan
from zeropoint.program import file
from zeropoint.program.coverage import Coverage, coverage
from zeropoint.program.program import Program


class QuantizedModel:
    """An integer network that is called like the float one: float32 NCHW in, float32 out.

    Any batch size; other image sizes where the float model takes them. Threads may share one model.
    """

    def __init__(
        self,
        program: Program,
        engine: str = "auto",
        *,
        plan: Plan | None = None,
        timings: Mapping[str, float] | None = None,
        batch: Tensor | Sequence[Tensor] | None = None,
    ) -> None:
        self._program = program
        self._plan = plan
        inputs = (batch,) if isinstance(batch, Tensor) else batch
        if inputs is not None:
            inputs = checked(inputs, program.graph)
        with plain():
            self._engine, self._executor, self._choice = _prepare(program, engine, inputs)
        self.timings: Mapping[str, float] = dict(timings or {})
        """Seconds that each stage of `quantize` took; empty for a loaded model."""

    def __call__(self, *inputs: Tensor) -> Any:  # nested like the float model's output
        """The model's outputs, nested as the float model nests them."""
        tensors = checked(inputs, self._program.graph)
        try:
            if is_plain():
                outputs = self._executor.run(tensors)
            else:
                with plain():
                    outputs = self._executor.run(tensors)
        except (RuntimeError, EngineError) as error:  # an image smaller than a window, say
            shapes = " and ".join(str(tuple(x.shape)) for x in tensors)
            first = str(error).partition("\n")[0]
            raise EngineError(f"inputs of shape {shapes} cannot be run: {first}") from error
        return nest(self._program.graph.structure, outputs)

    @property
    def program(self) -> Program:
        """The integer program; prints as text."""
        return self._program

    @property
    def plan(self) -> Plan:
        """The grid of every value; prints as a table."""
        return self._plan or plan_of(self._program)

    @property
    def engine(self) -> str:
        """The name of the engine that runs the program."""
        return self._engine

    @property
    def provenance(self) -> dict[str, Any]:
        """Versions, recipe and data that made the program."""
        return asdict(self._program.provenance)

    @property
    def choice(self) -> Choice | None:
        """How engine="auto" came to the engine, as a table; None if the engine was named."""
        return self._choice

    def coverage(self) -> Coverage:
        """Layers and multiply-accumulates in integers, and the islands with their reasons."""
        return coverage(self._program)

    def with_engine(
        self, engine: str, *, batch: Tensor | Sequence[Tensor] | None = None
    ) -> "QuantizedModel":
        """The same program on another engine; "auto" times the usable ones on the inputs `batch`.

        Without a batch it times them on one sample.
        """
        plan, timings = self._plan, self.timings
        return QuantizedModel(self._program, engine, plan=plan, timings=timings, batch=batch)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write one .safetensors file, atomically; FileError if it cannot be written."""
        file.save(self._program, path)

    def export(self, path: str | os.PathLike[str], **options: Any) -> None:
        """Write the program in the format of the path's suffix: .onnx, .xml, .pt2 or .c.

        ExportError or FileError, with nothing written, if that is impossible.
        """
        export(self._program, path, **options)

    def eval(self) -> "QuantizedModel":
        """The model itself: it has no other mode. Lets evaluation loops treat it like a module."""
        return self

    def __repr__(self) -> str:
        name = self._program.provenance.model or "model"
        return f"<QuantizedModel of {name} on {self._engine}: {self.coverage()}>"


def _prepare(
    program: Program, engine: str, batch: Sequence[Tensor] | None
) -> tuple[str, Executor, Choice | None]:
    if engine == "auto":
        return choose(program, batch)
    name = choose_engine(engine)
    return name, make_executor(program, name), None


def plan_of(program: Program) -> Plan:
    """The plan as far as a program shows it: the grids, without the calibrators that chose them."""
    entries: dict[str, Entry] = {}
    for name, value in program.graph.values.items():
        if value.params is None:
            continue
        wide = value.params.type.bits == 32
        kind = Bias if wide and name in program.graph.constants else Accumulator
        entry = kind(value.params) if wide else Own(value.params, "")
        writer = program.graph.producers.get(name)
        fence = writer is not None and isinstance(writer.op, Quantize)
        # A plan speaks of the float graph, where nothing is named for being quantized.
        entries[writer.inputs[0] if writer and fence else name] = entry
    return Plan(entries, program.islands, levels=program.levels)


def load(path: str | os.PathLike[str], engine: str = "auto") -> QuantizedModel:
    """The quantized model in a file; needs no model class and executes nothing from the file.

    FileError if the file is missing, damaged or foreign; EngineError if the engine cannot run it.
    """
    return QuantizedModel(file.load(path), engine)
