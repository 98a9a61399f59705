"""A quantized model: a program, the engine that runs it, and everything one can ask about it."""

import copy
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Self

import torch
from torch import Tensor, nn

from zeropoint.ambient import is_plain, plain
from zeropoint.errors import EngineError, SaturationError
from zeropoint.execute.choosing import Choice, choose
from zeropoint.execute.engines import choose_engine, exact_engine, make_executor
from zeropoint.execute.executor import Executor
from zeropoint.export import export
from zeropoint.graph.structure import nest
from zeropoint.inputs import checked
from zeropoint.notice import warn
from zeropoint.ops.quantize import Quantize
from zeropoint.plan import Accumulator, Bias, Entry, Own, Plan
from zeropoint.program import file
from zeropoint.program.coverage import Coverage, coverage
from zeropoint.program.program import Program

OWN = ("_program", "_plan", "_engine", "_executor", "_choice", "timings")
"""What a module has besides those of torch, and what its copies share."""


class QuantizedModel(nn.Module):
    """An integer network that is called like the float one: float32 NCHW in, float32 out.

    Any batch size; other image sizes where the float model takes them. Threads may share one model.

    It is a module with nothing to train, to move or to convert: parameters() and buffers() are
    empty, it stays in the CPU's memory, and `train()` changes a flag but not what it computes
    (`zeropoint.prepare_qat` trains). `state_dict()` holds the program whole, as the bytes of its
    file; it is loaded into an equal model, and no other. Pickles hold the same bytes, and the name
    of the engine.
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
        super().__init__()
        self.training = False
        self._program = program
        self._plan = plan
        inputs = (batch,) if isinstance(batch, Tensor) else batch
        if inputs is not None:
            inputs = checked(inputs, program.graph)
        with plain():
            self._engine, self._executor, self._choice = _prepare(program, engine, inputs)
        self.timings: Mapping[str, float] = dict(timings or {})
        """Seconds that each stage of `quantize` took; empty for a loaded model."""

    def forward(self, *inputs: Tensor) -> Any:  # nested like the float model's output
        """The model's outputs, nested as the float model nests them."""
        if torch._C._is_tracing():  # a trace would hold this one result as a constant
            raise EngineError(
                "torch.jit.trace cannot see into an integer network; q.export() writes files"
            )
        tensors = checked(inputs, self._program.graph)
        try:
            if is_plain():
                outputs = self._executor.run(tensors)
            else:
                with plain():
                    outputs = self._executor.run(tensors)
        except (RuntimeError, LookupError, ValueError, EngineError) as error:  # too small an image
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

    def get_extra_state(self) -> Tensor:
        """The bytes of the program's file, uint8: all that `state_dict()` holds."""
        return torch.frombuffer(bytearray(file.dumps(self._program)), dtype=torch.uint8)

    def set_extra_state(self, state: object) -> None:
        """Nothing, if it is the state of an equal program; EngineError for that of another."""
        if not isinstance(state, Tensor) or not torch.equal(state, self.get_extra_state()):
            raise EngineError(
                "the state dict is that of another integer network; load the other one from its "
                "file with zeropoint.load, since a program does not change"
            )

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Torch's way to move and convert a module: refused, unless it leaves float32 here."""
        try:
            found = fn(torch.zeros(1))
        except (RuntimeError, AssertionError) as error:  # a device that is not here
            first = str(error).partition("\n")[0]
            raise EngineError(
                f"an integer network runs on the CPU and stays there: {first}"
            ) from error
        if found.device.type != "cpu" or found.dtype != torch.float32:
            kept = f"{found.device} and {str(found.dtype).removeprefix('torch.')}"
            raise EngineError(
                f"an integer network cannot be moved or converted to {kept}: it runs on the CPU, "
                "takes float32 and returns float32"
            )
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """A module of its own that shares what never changes: the program and its engine."""
        made = self.__class__.__new__(self.__class__)
        memo[id(self)] = made
        nn.Module.__init__(made)
        for name, value in self.__dict__.items():
            made.__dict__[name] = value if name in OWN else copy.deepcopy(value, memo)
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        rest = {name: value for name, value in self.__dict__.items() if name not in OWN}
        content = file.dumps(self._program)
        return restored, (content, self._engine, dict(self.timings)), rest

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
    narrow = program.provenance.narrow
    return Plan(entries, program.islands, levels=program.levels, narrow=narrow)


def load(path: str | os.PathLike[str], engine: str = "auto") -> QuantizedModel:
    """The quantized model in a file; needs no model class and executes nothing from the file.

    FileError if the file is missing, damaged or foreign; EngineError if the engine cannot run it.
    """
    return _ready(file.load(path), engine)


def restored(content: bytes, engine: str, timings: Mapping[str, float]) -> QuantizedModel:
    """The model that was pickled, on its engine; if that cannot be had here, as load() finds one.

    FileError if the bytes are damaged or foreign.
    """
    program = file.loads(content)
    try:
        return _ready(program, engine, timings)
    except EngineError:
        return _ready(program, "auto", timings)


def _ready(
    program: Program, engine: str, timings: Mapping[str, float] | None = None
) -> QuantizedModel:
    """The program on an engine; on an exact one, with a warning, if it would saturate there."""
    try:
        return QuantizedModel(program, engine, timings=timings)
    except SaturationError as error:
        # The program is right, the engine is not, on this CPU: one that is exact takes its place.
        exact = QuantizedModel(program, exact_engine(), timings=timings)
        warn(f"{error}; running on the {exact.engine} engine", RuntimeWarning)
        return exact
