"""Program -> a list of steps: kernel calls with everything but their tensors bound beforehand.

    uint8 in channels_last from the input quantizer to the last accumulator; no copies between

Values live in numbered slots, emptied after their last use. `kernels.py` binds one kernel a node,
`memory.py` says where results go.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from zeropoint.errors import EngineError
from zeropoint.execute.executor import Executor
from zeropoint.execute.onednn import direct
from zeropoint.execute.onednn.kernels import Kernel, bind, leaves_as_float
from zeropoint.execute.onednn.layout import copy
from zeropoint.execute.onednn.library import Library, find_library
from zeropoint.execute.onednn.memory import PLANS_KEPT, Departure, Memory, Plan, Watch
from zeropoint.execute.onednn.operators import why_unusable
from zeropoint.execute.onednn.recent import Recent
from zeropoint.execute.onednn.shapes import probable_shapes
from zeropoint.execute.saturation import refuse_saturating_pairs
from zeropoint.graph.graph import Node
from zeropoint.graph.op import IntegerOp
from zeropoint.ops.conv import Convolution
from zeropoint.ops.linear import Linear
from zeropoint.ops.quantize import Dequantize, Quantize
from zeropoint.program.program import Program


@dataclass(frozen=True)
class Step:
    """kernel(*slots[reads]) goes to slots[writes]; then the slots `spent` are emptied.

    The kernel of a residual writes onto its last operand: onto a copy, unless `overwrites`. Results
    that vary may have other shapes in calls with inputs of the same shapes.
    """

    kernel: Kernel
    reads: tuple[int, ...]
    writes: tuple[int, ...]
    spent: tuple[int, ...]
    residual: bool = False
    overwrites: bool = False
    varies: bool = False


@dataclass(frozen=True)
class _Course:
    """The steps of a call with inputs of some shapes, and the memory that they use.

    `shapes` are those of the results that vary, in their order.
    """

    steps: tuple[Step, ...]
    plan: Plan
    shapes: tuple[Any, ...]


class OneDnn(Executor):
    """A program prepared for torch's int8 kernels. EngineError says what it cannot run.

    `direct` calls oneDNN's primitives where they can be reached (library.py); without it, or where
    they cannot, kernels go through torch.ops.onednn. Both compute the same.
    """

    def __init__(self, program: Program, *, direct: bool = True) -> None:
        reason = why_unusable()
        if reason is not None:
            raise EngineError(f"the onednn engine is not usable: {reason}")
        _refuse_asymmetric_weights(program)
        _refuse_other_than_uint8(program)
        refuse_saturating_pairs(program, "onednn")
        self._memory = Memory()
        library = find_library() if direct else None
        preparation = _Preparation(program, self._memory, library)
        self._steps = tuple(preparation.steps())
        self._inputs = [preparation.slot(name) for name in program.graph.inputs]
        self._outputs = [preparation.slot(name) for name in program.graph.outputs]
        self._initial = preparation.initial
        self._last = _last_steps(self._steps, len(self._initial))
        self._courses: Recent[Any, list[_Course | None]] = Recent(PLANS_KEPT)

    def run(self, inputs: Sequence[Tensor]) -> tuple[Any, ...]:
        """The program's outputs."""
        key = tuple((x.shape, x.stride(), x.dtype) for x in inputs)
        known = self._courses.get(key, list)
        with torch.no_grad():
            if known and known[0] is not None:
                try:
                    return self._follow(inputs, known[0])
                except Departure:  # a result has another shape than in the first call
                    known[0] = None
            try:
                return self._first(inputs, known)
            finally:
                self._memory.rest()

    def _follow(self, inputs: Sequence[Tensor], course: _Course) -> tuple[Any, ...]:
        slots = self._filled(inputs)
        self._memory.follow(course.plan)
        shapes = iter(course.shapes)
        for step in course.steps:
            operands = [slots[read] for read in step.reads]
            if step.residual and not step.overwrites:
                operands[-1] = copy(operands[-1])
            result = step.kernel(*operands)
            if step.varies and _shapes(result) != next(shapes):
                raise Departure
            _write(slots, step, result)
            for slot in step.spent:
                slots[slot] = None
        return tuple(slots[output] for output in self._outputs)

    def _first(self, inputs: Sequence[Tensor], known: list[_Course | None]) -> tuple[Any, ...]:
        """The outputs; what the call has shown of its memory goes to `known`."""
        slots = self._filled(inputs)
        watch = Watch(slots, self._last, self._memory.watch())
        steps, shapes = [], []
        for number, each in enumerate(self._steps):
            step = each
            operands = [slots[read] for read in step.reads]
            if step.residual:
                onto, others = step.reads[-1], step.reads[:-1]
                step = replace(step, overwrites=watch.may_overwrite(number, onto, others))
                operands[-1] = operands[-1] if step.overwrites else copy(operands[-1])
            result = step.kernel(*operands)
            if step.varies:
                shapes.append(_shapes(result))
            _write(slots, step, result)
            watch.wrote(number, step.writes)
            for slot in step.spent:
                slots[slot] = None
            steps.append(step)
        if not known:
            known.append(_Course(tuple(steps), watch.plan(), tuple(shapes)))
        return tuple(slots[output] for output in self._outputs)

    def _filled(self, inputs: Sequence[Tensor]) -> list[Any]:
        slots = self._initial.copy()
        for slot, x in zip(self._inputs, inputs, strict=True):
            slots[slot] = x
        return slots


def _write(slots: list[Any], step: Step, result: Any) -> None:
    if len(step.writes) == 1:
        slots[step.writes[0]] = result
        return
    for write, item in zip(step.writes, result, strict=True):
        slots[write] = item


def _shapes(result: Any) -> Any:
    """Shapes and strides of a tensor, or of several."""
    if isinstance(result, Tensor):
        return result.shape, result.stride()
    return [_shapes(item) for item in result] if isinstance(result, (tuple, list)) else result


def _last_steps(steps: Sequence[Step], slots: int) -> list[int | None]:
    """The step after which each slot is emptied; None if it keeps its value to the end."""
    last: list[int | None] = [None] * slots
    for number, step in enumerate(steps):
        for slot in step.spent:
            last[slot] = number
    return last


def _refuse_asymmetric_weights(program: Program) -> None:
    for name in program.graph.constants:
        params = program.graph.values[name].params
        if params is not None and params.type.signed and bool(params.zero_point.any()):
            raise EngineError(
                f"{name} has a zero point; the onednn engine runs symmetric weights only: "
                'use engine="reference", or TensorSpec(symmetric=True) for weights'
            )


def _refuse_other_than_uint8(program: Program) -> None:
    for name, value in program.graph.values.items():
        if value.params is None or name in program.graph.constants:
            continue
        type = value.params.type
        if type.bits != 32 and type.storage != torch.uint8:
            raise EngineError(
                f"{name} is {type}; the onednn engine runs unsigned activations of 2 to 8 bits "
                'only: use engine="reference"'
            )


class _Preparation:
    """Gives every value a slot and every node a step, in order."""

    def __init__(self, program: Program, memory: Memory, library: Library | None) -> None:
        self._program = program
        self._graph = program.graph
        self._memory = memory
        self._library = library
        self._slots: dict[str, int] = {}
        self._shapes = probable_shapes(program)
        self._dissolved = {n.output for n in program.graph.nodes if leaves_as_float(program, n)}
        self.initial: list[Any] = []

    def steps(self) -> list[Step]:
        nodes = [node for node in self._graph.nodes if node.output not in self._dissolved]
        # By slot: a dissolved node's operand and result have one, and it has to outlive both.
        last = {self.slot(name): id(node) for node in nodes for name in self._reads(node)}
        return [self._step(node, last) for node in nodes]

    def slot(self, name: str) -> int:
        """The slot of a value; a dissolved node's result is in the slot of its operand."""
        while name in self._dissolved:
            name = self._graph.producers[name].inputs[0]
        if name not in self._slots:
            self._slots[name] = len(self.initial)
            self.initial.append(self._graph.constants.get(name))
        return self._slots[name]

    def _step(self, node: Node, last: dict[int, int]) -> Step:
        names = self._reads(node)
        kept = {self.slot(name) for name in (*self._graph.outputs, *self._graph.constants)}
        read = {self.slot(name) for name in names if last[self.slot(name)] == id(node)}
        unread = {self.slot(name) for name in node.outputs if not self._is_read(name)}
        spent = (read | unread) - kept
        return Step(
            self._kernel(node),
            tuple(self.slot(name) for name in names),
            tuple(self.slot(name) for name in node.outputs),
            tuple(sorted(spent)),
            residual=isinstance(node.op, Convolution)
            and self._program.is_integer(node)
            and len(names) > 1,
            varies=not isinstance(node.op, IntegerOp | Dequantize | Quantize),
        )

    def _kernel(self, node: Node) -> Kernel:
        kernel = None
        if self._library is not None:
            kernel = direct.bind(self._library, self._memory, self._program, node)
        return kernel or bind(self._program, node, self._shapes)

    def _is_read(self, name: str) -> bool:
        return bool(self._graph.users[name])

    def _reads(self, node: Node) -> tuple[str, ...]:
        """The operands that a kernel is called with: weights and biases are bound in it."""
        if isinstance(node.op, Convolution | Linear) and self._program.is_integer(node):
            return (node.inputs[0], *node.inputs[3:])
        return node.inputs
