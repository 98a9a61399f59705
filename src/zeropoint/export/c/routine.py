"""A program as one C function: its parameters, its steps and its memory."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from zeropoint.arithmetic.fixed_point import Rounding
from zeropoint.arithmetic.qparams import QParams
from zeropoint.export.c.codes import is_wide
from zeropoint.export.c.gather import axis_of_channels
from zeropoint.export.c.memory import Memory, lay_out
from zeropoint.export.c.sample import Sample, Shape, specialize
from zeropoint.export.c.step import Alias, Array, Step
from zeropoint.export.c.steps import steps_of
from zeropoint.graph.graph import Graph
from zeropoint.ops.movement import Movement
from zeropoint.ops.quantize import Quantize
from zeropoint.program.program import Program

INT8 = range(-128, 128)


@dataclass(frozen=True)
class Port:
    """A parameter of the function: `value` in the program, `name` in C."""

    name: str
    value: str
    shape: Shape
    params: QParams

    @property
    def size(self) -> int:
        """How many elements it has."""
        return math.prod(self.shape)

    @property
    def wide(self) -> bool:
        """True for int32_t accumulators; False for uint8_t codes."""
        return is_wide(self.params)

    @property
    def bytes(self) -> int:
        """How many bytes it has."""
        return self.size * (4 if self.wide else 1)


@dataclass(frozen=True)
class Routine:
    """All that the two files say of a program."""

    model: str
    rounding: Rounding
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    steps: tuple[Step, ...]
    memory: Memory

    @property
    def arrays(self) -> tuple[Array, ...]:
        """Every constant array."""
        calls = (call for step in self.steps for call in step.calls)
        return tuple(
            field for call in calls for field in call.fields.values() if isinstance(field, Array)
        )

    @cached_property
    def weight_type(self) -> str:
        """The type of the weights less their zero points: int8_t unless 8 bits are asymmetric."""
        weights = [array.elements for array in self.arrays if array.type == "weight_t"]
        fits = all(w in INT8 for elements in weights for w in elements)
        return "int8_t" if fits else "int16_t"

    @property
    def ram(self) -> int:
        """Bytes of the arena, the inputs and the outputs."""
        return self.memory.arena + sum(port.bytes for port in (*self.inputs, *self.outputs))


def routine(program: Program, shapes: Sequence[Shape], rounding: Rounding) -> Routine:
    """The program for inputs of these shapes; nothing that `refusal` names may be in it.

    RuntimeError or ValueError if it does not take them, or needs more loops than C has here.
    """
    graph = program.graph
    sample = specialize(program, shapes)
    steps = steps_of(program, sample)
    inputs = _ports("input", [n.output for n in graph.nodes if isinstance(n.op, Quantize)])
    outputs = _ports("output", graph.outputs)
    steps = _needed(steps, graph.outputs)
    memory = lay_out(list(inputs.values()), graph.outputs, steps, sample.shapes)
    return Routine(
        program.provenance.model or "a model",
        rounding,
        tuple(_port(name, value, graph, sample, steps) for name, value in inputs.items()),
        tuple(_port(name, value, graph, sample, steps) for name, value in outputs.items()),
        tuple(step for step in steps.values() if isinstance(step, Step)),
        memory,
    )


def _ports(name: str, values: Sequence[str]) -> dict[str, str]:
    """Values by the names of their parameters: numbered if there are several."""
    if len(values) == 1:
        return {name: values[0]}
    return {f"{name}_{i}": value for i, value in enumerate(values, start=1)}


def _port(
    name: str, value: str, graph: Graph, sample: Sample, steps: dict[str, Step | Alias]
) -> Port:
    return Port(name, value, sample.shapes[value], _grid(graph, sample, steps, value))


def _grid(graph: Graph, sample: Sample, steps: dict[str, Step | Alias], value: str) -> QParams:
    """The grid of the integers behind a value, which may itself be a real number."""
    params = graph.values[value].params
    if params is not None:
        return params
    step, op = steps[value], graph.producers[value].op
    (source,) = (step.of,) if isinstance(step, Alias) else step.reads
    found = _grid(graph, sample, steps, source)
    if found.axis is None or not isinstance(op, Movement):
        return found
    return replace(found, axis=axis_of_channels(op, sample.shapes[source], found.axis))


def _needed(steps: dict[str, Step | Alias], outputs: Sequence[str]) -> dict[str, Step | Alias]:
    """The steps without those that nothing reads, but for a size."""
    needed = set(outputs)
    for name, step in reversed(steps.items()):
        if name in needed:
            needed.update([step.of] if isinstance(step, Alias) else step.reads)
    return {name: step for name, step in steps.items() if name in needed}
