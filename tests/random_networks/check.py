"""One random network on every engine: each call held against the reference.

A call agrees if every output is within one step of the reference's. Where a step of an early layer
has grown on its way, the engine's own operators decide: alone, each must be within one step on the
reference's integers, and one after the other they must give what the whole network gave.

Calls come with changing shapes, each twice, and then again from two threads at once, which must
give the same bits. What a call returned is looked at again at the end.
"""

import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor

import zeropoint as zp
from tests.conformance.executors import BY_TORCH
from tests.conformance.suite import unit
from tests.random_networks.network import Network
from zeropoint.errors import EngineError, ZeropointError
from zeropoint.execute.agreement import in_turn, isolated_operators, relative_difference
from zeropoint.execute.engines import engines, make_executor
from zeropoint.execute.executor import Executor
from zeropoint.execute.onednn import OneDnn
from zeropoint.execute.reference import Reference
from zeropoint.program.program import Program

ROUNDING = 1e-3
"""Of two ways through the same integers, with islands of float32 between them."""

Outputs = tuple[Tensor, ...]


def usable() -> list[str]:
    """The engines that are compared."""
    names = [each.name for each in engines() if each.usable and each.name != "reference"]
    return [*names, BY_TORCH] if "onednn" in names else names


def faults(network: Network, names: Sequence[str]) -> list[str]:
    """What is wrong with the network on these engines, one line each; no line, if nothing is."""
    try:
        program = quantized(network)
    except ZeropointError as error:
        return [f"quantize: {type(error).__name__}: {error}"]
    calls = [
        Call(program, network.image(shape, number)) for number, shape in enumerate(network.shapes)
    ]
    return [
        f"{name}: {fault}" for name in names for fault in _of_engine(program, maker(name), calls)
    ]


class Call:
    """An input, and what the reference makes of it."""

    def __init__(self, program: Program, x: Tensor) -> None:
        self.x = x
        self.seen: dict[str, Any] = {}
        self.expected: Outputs | None = None
        with suppress(EngineError, RuntimeError):  # what it refuses
            self.expected = Reference(program).trace([x], self.seen.__setitem__)


def quantized(network: Network) -> Program:
    """The program, calibrated on one batch."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        engine = "onednn" if "onednn" in usable() else "reference"
        batch = network.image(network.shapes[0], -1)
        return zp.quantize(network.module(), [batch], engine=engine).program


def maker(name: str) -> Callable[[Program], Executor]:
    """What prepares programs for an engine."""
    if name == BY_TORCH:
        return lambda program: OneDnn(program, direct=False)
    return lambda program: make_executor(program, name)


def _of_engine(
    program: Program, make: Callable[[Program], Executor], calls: Sequence[Call]
) -> list[str]:
    try:
        executor = make(program)
    except EngineError:
        return []  # a refusal in words
    told, results = [], []
    for call in [call for call in calls for _ in range(2)]:
        x, found = call.x, _run(executor, call.x)
        results.append((x, found, None if found is None else [y.clone() for y in found]))
        fault = _difference(program, make, call, found)
        if fault is not None:
            told.append(f"{tuple(x.shape)}: {fault}")
    for x, found, copies in results:
        if found is not None and copies is not None and not _same(found, copies):
            told.append(f"{tuple(x.shape)}: a later call has changed what was returned")
    return told or _of_threads(executor, results)


def _of_threads(executor: Executor, results: Sequence[tuple[Any, Any, Any]]) -> list[str]:
    def right(item: tuple[Any, Any, Any]) -> bool:
        x, found, _ = item
        again = _run(executor, x)
        if found is None or again is None:
            return found is again
        return _same(found, again)

    with ThreadPoolExecutor(2) as threads:
        agree = list(threads.map(right, [*results, *results[::-1]]))
    wrong = agree.count(False)
    return [f"{wrong} of {len(agree)} calls from two threads give something else"] if wrong else []


def _run(executor: Executor, x: Tensor) -> Outputs | None:
    """The outputs; None if the call is refused in words."""
    try:
        return executor.run([x])
    except (EngineError, RuntimeError):
        return None


def _difference(
    program: Program, make: Callable[[Program], Executor], call: Call, found: Outputs | None
) -> str | None:
    """How the outputs of a call are wrong; None if they are right."""
    expected, seen = call.expected, call.seen
    if expected is None:
        return None if found is None else "the reference refuses it"
    if found is None:
        return None  # an engine may refuse in words what the reference runs
    if any(a.shape != b.shape for a, b in zip(found, expected, strict=True)):
        return f"shape {[tuple(y.shape) for y in found]}"
    if _steps(program, found, expected) <= 1:
        return None
    operators = isolated_operators(program, make)
    for operator in operators:
        count = operator.difference(operator.run(operator.inputs(seen)), seen)
        if count.largest > 1:
            return f"{operator.node.op.name} alone is {count.largest} steps off"
    turn = in_turn(program, operators, [call.x])
    apart = max(relative_difference(a, b) for a, b in zip(found, turn, strict=True))
    if _steps(program, found, turn) <= 1 or apart <= ROUNDING:
        return None
    return f"{_steps(program, found, expected):g} steps off, and {apart:.2g} from its operators"


def _steps(program: Program, found: Sequence[Tensor], expected: Sequence[Tensor]) -> float:
    worst = 0.0
    for name, ours, theirs in zip(program.graph.outputs, found, expected, strict=True):
        distance = (ours.double() - theirs.double()).abs() / _unit(program, name, theirs)
        worst = max(worst, float(torch.round(distance).nan_to_num(1e9).max()))
    return worst


def _unit(program: Program, name: str, real: Tensor) -> Tensor:
    writer = program.graph.producers[name]
    if program.graph.values[writer.inputs[0]].params is None:  # an island's result
        return real.double().abs().max().clamp(min=1e-9) * ROUNDING
    return torch.maximum(unit(program, name, real), real.double().abs().max() * 2.0**-20)


def _same(a: Sequence[Tensor], b: Sequence[Tensor]) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))
