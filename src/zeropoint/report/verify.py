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
from zeropoint.batches import Inputs, calibration_batches, first_and_all
from zeropoint.errors import EngineError, SaturationError, ZeropointError
from zeropoint.execute.agreement import (
    LARGEST_DIFFERENCE,
    SMALLEST_DIFFERENCE,
    Count,
    Isolated,
    in_turn,
    isolated_operators,
    numbers_of,
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
from zeropoint.report.other_sizes import other_sizes, shapes_of
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

    The first batch is also run with other numbers of samples, and other image sizes where the
    program's shapes are free; files are loaded as their users load them, without a word of sizes.
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
        if not done:
            _check_other_sizes(checks, program, inputs)
        done += len(inputs[0])
        report("verify", done, samples)
    return Certificate(
        model=program.provenance.model,
        samples=done,
        digest=digest(program),
        versions=_versions(),
        checks=tuple(check.result() for check in checks),
    )


def _check_other_sizes(checks: Sequence["_Check"], program: Program, inputs: Inputs) -> None:
    """Engines have other kernels for other sizes, and files are called with any."""
    reference = Reference(program)
    for other in other_sizes(program, inputs):
        try:
            expected = reference.run(other)
        except (RuntimeError, ValueError, IndexError, ZeropointError):
            continue  # a size that the network itself does not take
        for check in checks:
            check.add_call(other, expected)


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
    saturates: bool = False
    outputs: int = 0
    differing: int = 0
    relative_difference: float = 0.0
    unexplained: float = 0.0
    decisions: int = 0
    flips: int = 0

    def add(self, inputs: Inputs, expected: Sequence[Any], seen: Mapping[str, Tensor]) -> None:
        """A batch of the loader: the whole, and each operator alone."""
        found = self.add_call(inputs, expected)
        if self.failure:
            return
        try:
            for operator in self.operators:
                operator.add(seen)
        except (RuntimeError, ZeropointError) as error:
            self._fail(str(error))
            return
        scores = found[0] if len(found) == 1 else None
        if isinstance(scores, Tensor) and scores.ndim == 2 and scores.shape[1] > 1:
            self.decisions += len(scores)
            self.flips += int((scores.argmax(1) != expected[0].argmax(1)).sum())

    def add_call(self, inputs: Inputs, expected: Sequence[Any]) -> Sequence[Any]:
        """One call of the whole; its outputs, if it has any that can be compared."""
        if self.whole is None:
            return ()
        try:
            found = self.whole.run(inputs)
            misfit = _misfit(found, expected)
            if misfit:
                raise EngineError(misfit)
            for ours, theirs in zip(found, expected, strict=True):
                self._outputs(ours, theirs)
            self._explain(inputs, found, expected)
        except (RuntimeError, ZeropointError) as error:
            self._fail(f"{str(error).partition(chr(10))[0]} (inputs: {shapes_of(inputs)})")
            return ()
        return found

    def _fail(self, reason: str) -> None:
        self.failure, self.whole = reason.partition("\n")[0], None

    def _outputs(self, found: Any, expected: Any) -> None:
        ours, theirs = numbers_of(found), numbers_of(expected)
        if not ours.isfinite().all() and theirs.isfinite().all():
            self.failure = "an output is not finite"
            return
        self.outputs += ours.numel()
        self.differing += _differing(ours, theirs)
        self.relative_difference = max(
            self.relative_difference, relative_difference(found, expected)
        )

    def _explain(
        self, inputs: Sequence[Tensor], found: Sequence[Any], expected: Sequence[Any]
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
            saturates=self.saturates,
        )


def _engine_check(program: Program, name: str) -> _Check:
    try:
        operators = isolated_operators(program, lambda alone: make_executor(alone, name))
        return _Check(name, program, make_executor(program, name), list(map(_Operator, operators)))
    except ZeropointError as error:
        return _failed(name, program, error)


def _file_check(program: Program, path: str | Path, trust: bool) -> _Check:
    """A file shows its outputs only; its operators are those of the engine that runs it."""
    try:
        return _Check(Path(path).name, program, open_file(program, path, trust=trust), ())
    except ZeropointError as error:
        return _failed(Path(path).name, program, error)


def _failed(name: str, program: Program, error: ZeropointError) -> _Check:
    saturates = isinstance(error, SaturationError)
    return _Check(name, program, None, (), failure=str(error), saturates=saturates)


def _misfit(found: Sequence[Any], expected: Sequence[Any]) -> str:
    """What keeps two lists of outputs from being compared; "" if nothing does."""
    if len(found) != len(expected):
        return f"it returns {len(found)} outputs, the program {len(expected)}"
    for place, (ours, theirs) in enumerate(zip(found, expected, strict=True)):
        sizes = [list(torch.as_tensor(each).shape) for each in (ours, theirs)]
        if sizes[0] != sizes[1]:
            return f"output {place} has the shape {sizes[0]}, the program's {sizes[1]}"
    return ""


def _differing(ours: Tensor, theirs: Tensor) -> int:
    finite = theirs[theirs.isfinite()].abs()
    size = finite.max().item() if finite.numel() else 1.0
    apart = (ours - theirs).abs() > SMALLEST_DIFFERENCE * size
    return int((apart & (ours != theirs)).sum())


def _worst(found: Sequence[Any], expected: Sequence[Any]) -> float:
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
