"""The shape of every value for inputs of given shapes, found on meta tensors: nothing is computed.

The float form of an operator has the shapes of its integer form, so one walk does for both. Where
torch asks less of tensors without contents than of others, or more, there is a rule here.

`check_shapes` holds a graph against what it declares, at two sizes of its inputs: equal expressions
are equal sizes, and numbers are what they say. Of sizes that depend on the contents of a tensor any
two are taken.
"""

import operator
from collections.abc import Iterator, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor

from zeropoint.errors import ProgramError
from zeropoint.graph.graph import Graph, Node
from zeropoint.graph.op import IntegerOp
from zeropoint.graph.value import UNKNOWN, Plain, Shape, Size, Value
from zeropoint.ops.allowed import DATA_DEPENDENT
from zeropoint.ops.conv import Convolution
from zeropoint.ops.conv_transpose import ConvTranspose
from zeropoint.ops.opaque import META, Opaque
from zeropoint.ops.order import Take
from zeropoint.ops.pool import AveragePool, MaxPool
from zeropoint.ops.shape import SizeArithmetic

MOST_ELEMENTS = 1 << 31
"""Of any value: engines count elements in 32 bits."""

MOST_INPUT = 1 << 28
"""Of one sample: a gigabyte of float32."""

ROOM, GROWTH, FOLD = 1 << 27, 1 << 10, 1 << 4
"""A value has at most so many elements, or so many times those of the inputs, or the constants."""

LARGEST_SIZE = 1 << 53
BATCH = "N"
BATCHES = 12, 24
"""Batches that a program is checked with: a batch of one could be broadcast."""

USUAL_SIZES = 8, 32, 224, 64, 1
"""Of images, for a program that does not know its own."""


def infer(graph: Graph, inputs: Sequence[Sequence[int]]) -> dict[str, Any]:
    """A meta tensor, or a number, for each value of the graph; constants are left out.

    ProgramError names the node that cannot take its operands. Quantized values are float32 here.
    """
    return _Inference(graph, inputs, None).values()


def check_shapes(graph: Graph, sample: Sequence[Sequence[int]]) -> None:
    """ProgramError unless every node fits, and gives the shapes and types that are declared.

    `sample` are shapes of the inputs that the graph is made for; none where it is not known.
    """
    for shapes in _sizes(graph, sample):
        _Inference(graph, shapes, _Symbols()).values()


def check_sample(graph: Graph, sample: Sequence[Sequence[int]]) -> None:
    """ProgramError unless the sample, if there is one, could be given to the graph."""
    declared = [graph.values[name].shape for name in graph.inputs]
    if sample and [len(shape) for shape in declared] != [len(shape) for shape in sample]:
        raise ProgramError(f"its sample {sample} has other dimensions than its inputs")
    for wanted, found in zip(declared, sample, strict=False):
        pairs = zip(wanted, found, strict=True)
        if any(size < 1 or (isinstance(n, int) and n != size) for n, size in pairs):
            raise ProgramError(f"its sample {sample} is none of its inputs {declared}")
        if prod(found) > MOST_INPUT:
            raise ProgramError(f"its sample {sample} has more than {MOST_INPUT} elements")


# --- sizes of inputs -----------------------------------------------------------------------------


def _sizes(graph: Graph, sample: Sequence[Sequence[int]]) -> Iterator[list[tuple[int, ...]]]:
    """Two sets of input shapes: of the sample, and twice as large where sizes are free."""
    declared = [graph.values[name].shape for name in graph.inputs]
    known = [tuple(shape) for shape in sample] if sample else _usual(graph, declared)
    if [len(shape) for shape in declared] != [len(shape) for shape in known]:
        raise ProgramError(f"its sample {known} has other dimensions than its inputs")
    for batch, factor in zip(BATCHES, (1, 2), strict=True):
        yield [_sized(*pair, batch, factor) for pair in zip(declared, known, strict=True)]


def _sized(shape: Shape, sample: Sequence[int], batch: int, factor: int) -> tuple[int, ...]:
    return tuple(
        size if isinstance(size, int) else batch if size == BATCH else factor * found
        for size, found in zip(shape, sample, strict=True)
    )


def _usual(graph: Graph, declared: Sequence[Shape]) -> list[tuple[int, ...]]:
    """The first of the usual sizes with which the graph can be walked; the first if none is."""
    tried = [[_sized(s, [n] * len(s), 1, 1) for s in declared] for n in USUAL_SIZES]
    free = any(not isinstance(n, int) and n != BATCH for shape in declared for n in shape)
    walkable = (shapes for shapes in tried if not free or _is_walkable(graph, shapes))
    return next(walkable, tried[0])


def _is_walkable(graph: Graph, shapes: Sequence[tuple[int, ...]]) -> bool:
    try:
        infer(graph, shapes)
    except ProgramError:
        return False
    return True


# --- the walk ------------------------------------------------------------------------------------


class _Inference:
    """One walk; with `symbols`, every result is compared with what is declared."""

    def __init__(
        self, graph: Graph, inputs: Sequence[Sequence[int]], symbols: "_Symbols | None"
    ) -> None:
        self._graph = graph
        self._symbols = symbols
        constants = sum(tensor.numel() for tensor in graph.constants.values())
        elements = sum(prod(shape) for shape in inputs)
        most = max(ROOM, GROWTH * elements, FOLD * constants)
        self._most = min(most, MOST_ELEMENTS)
        self._live: dict[str, Any] = {}
        self._constants = {
            name: _hollow(graph.values[name], tensor.shape)
            for name, tensor in graph.constants.items()
        }
        for name, shape in zip(graph.inputs, inputs, strict=True):
            self._write(graph.values[name], _hollow(graph.values[name], shape))

    def values(self) -> dict[str, Any]:
        for node in self._graph.nodes:
            operands = [
                self._constants[name] if name in self._constants else self._live[name]
                for name in node.inputs
            ]
            results = self._results(node, operands)
            if len(results) != len(node.outputs):
                raise ProgramError(
                    f"{node.output}: {node.op.name} has {len(results)} results, not "
                    f"{len(node.outputs)}"
                )
            for name, result in zip(node.outputs, results, strict=True):
                self._write(self._graph.values[name], result)
        return self._live

    def _results(self, node: Node, operands: Sequence[Any]) -> tuple[Any, ...]:
        try:
            _check_operands(node, operands)
            results = self._run(node, operands)
            _check_addend(node, operands, results)
        except ProgramError as error:
            raise ProgramError(f"{node.output}: {error}") from error
        except Exception as error:  # whatever torch says of operands that do not fit
            first = next(iter(str(error).splitlines()), type(error).__name__)
            raise ProgramError(
                f"{node.output}: {_title(node)} does not take {_shown(operands)}: {first}"
            ) from error
        return results if isinstance(results, tuple) else (results,)

    def _run(self, node: Node, operands: Sequence[Any]) -> Any:
        if isinstance(node.op, SizeArithmetic):
            return _number(node.op, operands)
        if not isinstance(node.op, Opaque):
            return node.op.run(*operands)
        if node.op.target.split(".")[1] in DATA_DEPENDENT and _is_by_content(node.op, operands):
            return tuple(self._any(self._graph.values[name]) for name in node.outputs)
        return node.op.run_on_meta(*operands)

    def _any(self, value: Value) -> Tensor:
        """A tensor as declared, whatever size its unknown dimensions have."""
        symbols = self._symbols or _Symbols()
        return _hollow(value, [symbols.size(n) for n in value.shape])

    def _write(self, value: Value, result: Any) -> None:
        self._live[value.name] = result
        if self._symbols is None:
            return
        if isinstance(result, Tensor) and result.numel() > self._most:
            raise ProgramError(
                f"{value.name} has {result.numel()} elements, which is out of all proportion to "
                "the program and its inputs"
            )
        self._symbols.compare(value, result)


def _hollow(value: Value, shape: Sequence[int]) -> Tensor:
    dtype = value.type.dtype if isinstance(value.type, Plain) else torch.float32
    return torch.empty(tuple(shape), dtype=dtype, device=META)


# --- rules ---------------------------------------------------------------------------------------


def _check_operands(node: Node, operands: Sequence[Any]) -> None:
    tensors = [operand for operand in operands if isinstance(operand, Tensor)]
    if isinstance(node.op, IntegerOp) and any(not tensor.numel() for tensor in tensors):
        raise ProgramError(f"{node.op.name} has an operand without elements")
    if isinstance(node.op, MaxPool | AveragePool):
        windows = {len(node.op.kernel), len(node.op.stride), len(node.op.padding)}
        if windows != {operands[0].ndim - 2}:
            raise ProgramError(f"{node.op.name} is of other dimensions than its operand")
    if isinstance(node.op, Convolution):
        _check_window(node.op, *operands[:3])
    if isinstance(node.op, Take):
        extent = operands[0].shape[node.op.axis]
        if not all(0 <= index < extent for index in node.op.indices):
            raise ProgramError(f"an index is beyond the extent {extent}")


def _check_window(op: Convolution, x: Tensor, weight: Tensor, bias: Tensor) -> None:
    rank = len(op.stride)
    windows = (op.stride, op.padding, op.dilation)
    outputs, per_group = weight.shape[:2]
    if x.ndim != rank + 2 or weight.ndim != rank + 2 or any(len(n) != rank for n in windows):
        raise ProgramError(f"{op.name} is of other dimensions than its operands")
    if per_group * op.groups != x.shape[1] or outputs % op.groups or not weight.numel():
        raise ProgramError(
            f"weights {tuple(weight.shape)} in {op.groups} groups do not fit {x.shape[1]} channels"
        )
    if tuple(bias.shape) != (outputs,):
        raise ProgramError(f"the bias {tuple(bias.shape)} is not one number for each channel")
    if isinstance(op, ConvTranspose):
        most = [max(pair) for pair in zip(op.stride, op.dilation, strict=True)]
        if len(op.output_padding) != rank or any(map(operator.ge, op.output_padding, most)):
            raise ProgramError("its output padding is not less than its stride and its dilation")


def _check_addend(node: Node, operands: Sequence[Any], result: Any) -> None:
    if isinstance(node.op, Convolution) and len(operands) == 4:
        addend = tuple(operands[3].shape)
        if addend != tuple(result.shape):
            raise ProgramError(f"the addend {addend} is not as large as the result")


def _is_by_content(op: Opaque, operands: Sequence[Any]) -> bool:
    """True if how much the operator gives depends on what a tensor holds."""
    name = op.target.split(".")[1]
    if name == "index":
        return any(isinstance(x, Tensor) and x.dtype == torch.bool for x in operands[1:])
    return name != "repeat_interleave" or op.target.endswith(".Tensor")


def _number(op: SizeArithmetic, operands: Sequence[Any]) -> float:
    sizes = [*operands, *(n for n in op.numbers if n is not None)]
    if not all(isinstance(n, int | float) and abs(n) <= LARGEST_SIZE for n in sizes):
        raise ProgramError("an operand is no size")
    if op.function == "pow" and max(map(abs, sizes)) > 1 << 16:
        raise ProgramError("a power is no size")
    if sum(n is None for n in op.numbers) != len(operands):
        raise ProgramError(f"{op.function} does not take {len(operands)} operands")
    result = op.run(*operands)
    if isinstance(result, complex) or not abs(result) <= LARGEST_SIZE:
        raise ProgramError("the result is no size")
    return result


def _title(node: Node) -> str:
    return node.op.target if isinstance(node.op, Opaque) else node.op.name


def _shown(operands: Sequence[Any]) -> str:
    return " and ".join(str(tuple(x.shape)) if isinstance(x, Tensor) else repr(x) for x in operands)


# --- what is declared ----------------------------------------------------------------------------


class _Symbols:
    """Sizes by their expressions, as they come up."""

    def __init__(self) -> None:
        self._sizes: dict[str, float] = {}

    def compare(self, value: Value, result: Any) -> None:
        if isinstance(value.type, Size):
            if not isinstance(result, int | float):
                raise ProgramError(f"{value.name} is no size")
            return
        if not isinstance(result, Tensor):
            raise ProgramError(f"{value.name} is no tensor")
        wanted = value.type.dtype if isinstance(value.type, Plain) else torch.float32
        if result.dtype != wanted:
            raise ProgramError(f"{value.name} is declared as {wanted}, and is {result.dtype}")
        if len(result.shape) != len(value.shape) or not all(
            map(self._is_right, value.shape, result.shape)
        ):
            raise ProgramError(
                f"{value.name} is declared as ({', '.join(map(str, value.shape))}), and is "
                f"{tuple(result.shape)}"
            )

    def _is_right(self, declared: int | str, found: int) -> bool:
        if isinstance(declared, int):
            return declared == found
        if declared == UNKNOWN:
            return True
        known = self._sizes.get(declared)
        if known is None:
            # torch's own expression for the length of a pool in ceil_mode is one off at times: what
            # counts is that equal expressions are equal sizes.
            known = self._sizes[declared] = found
        return known == found

    def size(self, declared: int | str) -> int:
        """A size that an expression may have."""
        if isinstance(declared, int):
            return declared
        known = self._sizes.get(declared)
        return BATCHES[0] if known is None else int(known)
