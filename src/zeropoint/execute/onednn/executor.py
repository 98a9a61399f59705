"""Program -> a list of steps: kernel calls with everything but their tensors bound beforehand.

    uint8 in channels_last from the input quantizer to the last accumulator; no copies between

Values live in numbered slots, emptied after their last use. `kernels.py` binds one kernel a node.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from zeropoint.arithmetic.bounds import saturating_pairs
from zeropoint.errors import EngineError
from zeropoint.execute.executor import Executor
from zeropoint.execute.onednn import direct
from zeropoint.execute.onednn.kernels import Kernel, bind, leaves_as_float
from zeropoint.execute.onednn.library import Library, find_library
from zeropoint.execute.onednn.operators import why_unusable
from zeropoint.execute.onednn.primitive import Pool
from zeropoint.execute.onednn.shapes import probable_shapes
from zeropoint.graph.graph import Node
from zeropoint.ops.conv import Convolution
from zeropoint.ops.linear import Linear
from zeropoint.program.program import Program
from zeropoint.target import has_vnni


@dataclass(frozen=True)
class Step:
    """kernel(*slots[reads]) goes to slots[writes]; then the slots `spent` are emptied.

    Those in `reusable` hold images whose memory the next kernels may have.
    """

    kernel: Kernel
    reads: tuple[int, ...]
    writes: tuple[int, ...]
    spent: tuple[int, ...]
    reusable: tuple[int, ...]


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
        if not has_vnni():
            _refuse_saturating_pairs(program)
        self._pool = Pool()
        library = find_library() if direct else None
        preparation = _Preparation(program, self._pool, library)
        self._steps = preparation.steps()
        self._inputs = [preparation.slot(name) for name in program.graph.inputs]
        self._outputs = [preparation.slot(name) for name in program.graph.outputs]
        self._initial = preparation.initial

    def run(self, inputs: Sequence[Tensor]) -> tuple[Any, ...]:
        """The program's outputs."""
        slots = self._initial.copy()
        self._pool.begin(tuple(tuple(x.shape) for x in inputs))
        for slot, x in zip(self._inputs, inputs, strict=True):
            slots[slot] = x
        with torch.no_grad():
            for step in self._steps:
                result = step.kernel(*[slots[read] for read in step.reads])
                if len(step.writes) == 1:
                    slots[step.writes[0]] = result
                else:
                    for write, item in zip(step.writes, result, strict=True):
                        slots[write] = item
                for slot in step.reusable:
                    self._pool.give(slots[slot])
                for slot in step.spent:
                    slots[slot] = None
        return tuple(slots[output] for output in self._outputs)


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


def _refuse_saturating_pairs(program: Program) -> None:
    """Without VNNI oneDNN adds two products in 16 bits, where they must not saturate."""
    for node in program.weighted_nodes():
        x = program.graph.values[node.inputs[0]].params
        assert x is not None  # integer nodes read integers
        found = saturating_pairs(program.weight_rows(node), x.high)
        if bool(found.any()):
            raise EngineError(
                f"{node.origin.layer or node.output}: this CPU has no VNNI instructions, and "
                f"without them {int(found.sum())} of its channels can saturate at 16 bits: "
                'quantize on this machine, which gives them 7 bits, or use engine="reference"'
            )


class _Preparation:
    """Gives every value a slot and every node a step, in order."""

    def __init__(self, program: Program, pool: Pool, library: Library | None) -> None:
        self._program = program
        self._graph = program.graph
        self._pool = pool
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
        pooled = {self.slot(name) for name in names if self._is_reusable(name)}
        return Step(
            self._kernel(node),
            tuple(self.slot(name) for name in names),
            tuple(self.slot(name) for name in node.outputs),
            tuple(sorted(spent)),
            tuple(sorted(spent & pooled)),
        )

    def _kernel(self, node: Node) -> Kernel:
        kernel = None
        if self._library is not None:
            kernel = direct.bind(self._library, self._pool, self._program, node)
        return kernel or bind(self._program, node, self._shapes)

    def _is_reusable(self, name: str) -> bool:
        return self._library is not None and direct.is_reusable(self._program, name)

    def _is_read(self, name: str) -> bool:
        return bool(self._graph.users[name])

    def _reads(self, node: Node) -> tuple[str, ...]:
        """The operands that a kernel is called with: weights and biases are bound in it."""
        if isinstance(node.op, Convolution | Linear) and self._program.is_integer(node):
            return (node.inputs[0], *node.inputs[3:])
        return node.inputs
