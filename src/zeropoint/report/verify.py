"""verify(): every engine and every exported file beside the reference, integer by integer.

operators   each alone, given the reference's own integers: a difference is the operator's own
outputs     of the whole network: where differences of operators add up, and decisions flip
"""

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from zeropoint.arithmetic.requantize import Arithmetic, FixedPoint, Float32
from zeropoint.batches import Inputs, calibration_batches, first_and_all, first_sample
from zeropoint.errors import ZeropointError
from zeropoint.execute.agreement import (
    LARGEST_DIFFERENCE,
    SMALLEST_DIFFERENCE,
    Count,
    Isolated,
    in_turn,
    isolated_operators,
    relative_difference,
)
from zeropoint.execute.engines import engines as all_engines
from zeropoint.execute.engines import make_executor, no_such_engine
from zeropoint.execute.executor import Executor
from zeropoint.execute.files import open_file
from zeropoint.execute.reference import Reference
from zeropoint.model import QuantizedModel
from zeropoint.program.file import digest
from zeropoint.program.program import Program
from zeropoint.progress import Progress, silent
from zeropoint.report.certificate import Certificate, EngineCheck, OperatorCheck
from zeropoint.version import VERSION

PROFILES: Mapping[str, Arithmetic] = {
    "float32": Float32(),
    "fixed point, single": FixedPoint("single"),
    "fixed point, double": FixedPoint("double"),
}

CHANCE = 5
"""Differing integers by which an engine's profile may lose to another by chance."""


def verify(
    q: QuantizedModel,
    loader: Iterable[object],
    engines: Sequence[str] | None = None,
    *,
    files: Sequence[str | Path] = (),
    samples: int = 64,
    trust: bool = False,
    progress: Progress | None = None,
) -> Certificate:
    """Compare engines (by default every usable one but the reference) and exported files.

    A .pt2 file may run code when it is loaded: it is, if you say that you `trust` the files.

    An engine or a file that cannot run this program is told in its row. EngineError for the name
    of an engine that does not exist, CalibrationError for data that do not fit the model.
    """
    program, report = q.program, progress or silent
    checks = [_engine_check(program, name) for name in _chosen(engines)]
    checks += [_file_check(program, path, trust) for path in files]
    reference, done = Reference(program), 0
    for inputs in _batches(program, loader, samples):
        seen: dict[str, Any] = {}
        expected = reference.trace(inputs, seen.__setitem__)
        for check in checks:
            check.add(inputs, expected, seen)
        done += len(inputs[0])
        report("verify", done, samples)
    return Certificate(
        model=program.provenance.model,
        samples=done,
        digest=digest(program),
        versions=_versions(),
        checks=tuple(check.result() for check in checks),
    )


def _chosen(engines: Sequence[str] | None) -> list[str]:
    known = {engine.name: engine for engine in all_engines()}
    if engines is None:
        return [name for name, engine in known.items() if engine.usable and name != "reference"]
    for name in engines:
        if name not in known:
            raise no_such_engine(name, known)
    return list(engines)


def _batches(program: Program, loader: Iterable[object], samples: int) -> Iterator[Inputs]:
    shapes = {name: program.graph.values[name].shape for name in program.graph.inputs}
    _, batches = first_and_all(loader)
    return calibration_batches(batches, shapes, samples, lambda done: None)


def _versions() -> dict[str, str]:
    found = {"zeropoint": VERSION, "torch": torch.__version__}
    for package in ("onnxruntime", "openvino"):
        with contextlib.suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


# --- one engine ----------------------------------------------------------------------------------


@dataclass
class _Check:
    """An executor of the whole program and one of each operator, and what they have amounted to."""

    name: str
    program: Program
    whole: Executor | None
    operators: Sequence["_Operator"]
    failure: str = ""
    outputs: int = 0
    differing: int = 0
    relative_difference: float = 0.0
    unexplained: float = 0.0
    decisions: int = 0
    flips: int = 0

    def add(self, inputs: Inputs, expected: Sequence[Tensor], seen: Mapping[str, Tensor]) -> None:
        if self.whole is None:
            return
        try:
            found = self.whole.run(inputs)
            first = first_sample(self.program.graph, inputs)
            alone = self.whole.run(first)
            for operator in self.operators:
                operator.add(seen)
        except (RuntimeError, ZeropointError) as error:
            self.failure, self.whole = str(error).partition("\n")[0], None
            return
        for ours, one, theirs in zip(found, alone, expected, strict=True):
            self._outputs(ours, theirs)
            if len(theirs) == len(inputs[0]) and len(one) == 1:
                self._outputs(one, theirs[:1])  # engines have other kernels for other batches
        self._explain(inputs, found, expected)
        if len(first[0]) == 1 and all(len(theirs) == len(inputs[0]) for theirs in expected):
            self._explain(first, alone, [theirs[:1] for theirs in expected])
        if len(found) == 1 and found[0].ndim == 2 and found[0].shape[1] > 1:
            self.decisions += len(found[0])
            self.flips += int((found[0].argmax(1) != expected[0].argmax(1)).sum())

    def _outputs(self, ours: Tensor, theirs: Tensor) -> None:
        if not ours.isfinite().all() and theirs.isfinite().all():
            self.failure = "an output is not finite"
            return
        distance, size = (ours - theirs).abs(), theirs.abs().max().item()
        self.outputs += ours.numel()
        self.differing += int((distance > SMALLEST_DIFFERENCE * size).sum())
        self.relative_difference = max(self.relative_difference, relative_difference(ours, theirs))

    def _explain(
        self, inputs: Sequence[Tensor], found: Sequence[Tensor], expected: Sequence[Tensor]
    ) -> None:
        """Outputs that are too far from the reference beside the engine's operators in turn."""
        far = _worst(found, expected)
        if far > LARGEST_DIFFERENCE and self.operators:
            alone = [operator.isolated for operator in self.operators]
            far = min(far, _worst(found, in_turn(self.program, alone, inputs)))
        self.unexplained = max(self.unexplained, far)

    def result(self) -> EngineCheck:
        return EngineCheck(
            engine=self.name,
            outputs=self.outputs,
            outputs_differing=self.differing,
            relative_difference=self.relative_difference,
            unexplained=self.unexplained,
            decisions=self.decisions,
            flips=self.flips,
            profile=_profile(self.operators),
            operators=tuple(operator.result() for operator in self.operators),
            failure=self.failure,
        )


def _engine_check(program: Program, name: str) -> _Check:
    try:
        operators = isolated_operators(program, lambda alone: make_executor(alone, name))
        return _Check(name, program, make_executor(program, name), list(map(_Operator, operators)))
    except ZeropointError as error:
        return _Check(name, program, None, (), failure=str(error))


def _file_check(program: Program, path: str | Path, trust: bool) -> _Check:
    """A file shows its outputs only; its operators are those of the engine that runs it."""
    try:
        return _Check(Path(path).name, program, open_file(program, path, trust=trust), ())
    except ZeropointError as error:
        return _Check(Path(path).name, program, None, (), failure=str(error))


def _worst(found: Sequence[Tensor], expected: Sequence[Tensor]) -> float:
    return max(map(relative_difference, found, expected), default=0.0)


# --- one operator --------------------------------------------------------------------------------


@dataclass
class _Operator:
    """An operator on an engine beside the reference's three profiles."""

    isolated: Isolated
    count: Count = Count()
    by_profile: dict[str, Count] = field(default_factory=dict)

    def add(self, seen: Mapping[str, Tensor]) -> None:
        isolated = self.isolated
        inputs = isolated.inputs(seen)
        found = isolated.run(inputs)
        self.count += isolated.difference(found, seen)
        if self.by_profile and self.count.differing == 0:
            return  # the first batch has told the profiles apart as far as they differ
        for name, profile in PROFILES.items():
            theirs = isolated.run(inputs, Reference(isolated.program, profile))
            known = self.by_profile.get(name, Count())
            self.by_profile[name] = known + isolated.between(found, theirs)

    def result(self) -> OperatorCheck:
        node = self.isolated.node
        return OperatorCheck(node.output, node.origin.layer, node.op.name, self.count)


def _profile(operators: Sequence[_Operator]) -> str:
    totals = {
        name: sum((each.by_profile.get(name, Count()) for each in operators), start=Count())
        for name in PROFILES
    }
    if not any(total.compared for total in totals.values()):
        return ""
    # Listed by how many engines follow them: a few integers fewer are no evidence against that.
    least = min(total.differing for total in totals.values())
    best = next(name for name, total in totals.items() if total.differing <= least + CHANCE)
    total = totals[best]
    exactly = "" if total.differing else ", exactly"
    return f"{best}{exactly}"
