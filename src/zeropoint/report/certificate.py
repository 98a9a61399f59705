"""The account of a verification: what was compared, and how many integers differ, by how much."""

import json
import os
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import RenderableType

from zeropoint.atomic import write_text
from zeropoint.execute.agreement import LARGEST_DIFFERENCE, Count, network_passes
from zeropoint.render import as_text, lines, table


@dataclass(frozen=True)
class OperatorCheck:
    """One operator, given the reference's own integers."""

    value: str
    layer: str
    operator: str
    count: Count


@dataclass(frozen=True)
class EngineCheck:
    """One engine, or one exported file, beside the reference.

    `operators` checks each alone; `outputs` counts the elements of the network's outputs that
    differ at all, `relative_difference` is the largest difference over the largest output of its
    call, `unexplained` the same beside the engine's own operators in turn where these come nearer
    (a chaotic network); `flips` are samples whose greatest output is another class; `profile` is
    the arithmetic profile with the fewest differing integers, but for chance. `failure` says why
    nothing could be compared; `saturates` that it would run, but saturate on this CPU.
    """

    engine: str
    outputs: int = 0
    outputs_differing: int = 0
    relative_difference: float = 0.0
    unexplained: float = 0.0
    decisions: int = 0
    flips: int = 0
    profile: str = ""
    operators: tuple[OperatorCheck, ...] = ()
    failure: str = ""
    saturates: bool = False

    @property
    def integers(self) -> Count:
        """All operators together."""
        return sum((check.count for check in self.operators), start=Count())

    @property
    def worst(self) -> OperatorCheck | None:
        """The operator that differs most: by steps, then by share."""
        found = [check for check in self.operators if check.count.differing]
        return max(found, key=_badness, default=None)

    @property
    def passes(self) -> bool:
        """Every operator passes alone, and the outputs differ by no more than rounding explains."""
        if self.failure or self.unexplained > LARGEST_DIFFERENCE:
            return False
        return network_passes(check.count for check in self.operators)


@dataclass(frozen=True)
class Certificate:
    """What `verify` has compared, on how many samples, for each engine and file."""

    model: str
    samples: int
    digest: str
    versions: dict[str, str]
    checks: tuple[EngineCheck, ...]

    @property
    def passes(self) -> bool:
        """True if every engine and file computes what the reference computes."""
        return all(check.passes for check in self.checks)

    def to_dict(self) -> dict[str, Any]:
        """The same as JSON data."""
        data = asdict(self)
        for check, written in zip(self.checks, data["checks"], strict=True):
            written["passes"] = check.passes
            written["integers"] = asdict(check.integers)
        return {**data, "passes": self.passes}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it as JSON, atomically; FileError if it cannot be written."""
        write_text(path, json.dumps(self.to_dict(), indent=2) + "\n")

    def __rich__(self) -> RenderableType:
        title = f"{self.model or 'program'} {self.digest[:12]}, {self.samples} samples"
        head = (
            "engine",
            "integers",
            "differing",
            "largest step",
            "in",
            "profile",
            "decisions flipped",
            "outputs' difference",
            "",
        )
        rows = [(check.engine, *_cells(check)) for check in self.checks]
        failures = [f"{check.engine}: {check.failure}" for check in self.checks if check.failure]
        return lines(table(head, rows, title=title), *failures)

    def __str__(self) -> str:
        return as_text(self.__rich__())


def _badness(check: OperatorCheck) -> tuple[int, float]:
    return check.count.largest, check.count.differing / check.count.compared


def _cells(check: EngineCheck) -> tuple[str, ...]:
    if check.failure:
        return (*[""] * 7, "saturates on this CPU" if check.saturates else "could not run")
    worst, total = check.worst, check.integers
    return (
        f"{total.compared:,}" if check.operators else "",
        f"{total.differing:,}" if check.operators else "",
        f"{total.largest}" if check.operators else "",
        "" if worst is None else worst.layer or worst.value,
        check.profile,
        f"{check.flips} of {check.decisions}" if check.decisions else "",
        f"{100 * check.relative_difference:.2g} %",
        "passes" if check.passes else "FAILS",
    )
