"""The executors by name, and which of them this machine can run; choosing.py takes one of them."""

import difflib
from collections.abc import Callable, Collection
from dataclasses import dataclass

from zeropoint.errors import EngineError
from zeropoint.execute.executor import Executor
from zeropoint.execute.onednn import OneDnn
from zeropoint.execute.onednn import why_unusable as why_no_onednn
from zeropoint.execute.onnxruntime import OnnxRuntime
from zeropoint.execute.onnxruntime import why_unusable as why_no_onnxruntime
from zeropoint.execute.openvino import OpenVino
from zeropoint.execute.openvino import why_unusable as why_no_openvino
from zeropoint.execute.reference import Reference
from zeropoint.notice import warn
from zeropoint.program.program import Program


@dataclass(frozen=True)
class Engine:
    """An executor by name; `reason` says why it is not usable here."""

    name: str
    usable: bool
    reason: str = ""


_MAKERS: dict[str, Callable[[Program], Executor]] = {
    "onednn": OneDnn,
    "openvino": OpenVino,
    "onnxruntime": OnnxRuntime,
    "reference": Reference,
}

_REASONS: dict[str, Callable[[], str | None]] = {
    "onednn": lambda: why_no_onednn(),  # looked up when it is called: tests replace it
    "openvino": lambda: why_no_openvino(),
    "onnxruntime": lambda: why_no_onnxruntime(),
    "reference": lambda: None,
}


def engines() -> list[Engine]:
    """Every engine, and whether this machine can run it: in the order in which ties are decided."""
    reasons = {name: why_unusable() for name, why_unusable in _REASONS.items()}
    return [Engine(name, reason is None, reason or "") for name, reason in reasons.items()]


def choose_engine(name: str) -> str:
    """The engine that a program is made for; "auto" is the first in the list that is usable here.

    EngineError for a name that does not exist, or an engine that is not usable here.
    """
    if name == "auto":
        return next(name for name, why_unusable in _REASONS.items() if why_unusable() is None)
    if name not in _REASONS:
        raise no_such_engine(name, ["auto", *_MAKERS])
    reason = _REASONS[name]()
    if reason is not None:
        raise EngineError(f"the {name} engine is not usable: {reason}")
    return name


def no_such_engine(name: object, known: Collection[str]) -> EngineError:
    """The error for a name that is not one of those known, with the nearest of them."""
    near = difflib.get_close_matches(str(name).lower(), known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return EngineError(f"there is no engine {name!r}; choose one of {', '.join(known)}{hint}")


def exact_engine() -> str:
    """The engine that computes any weights exactly, also where a CPU adds pairs in 16 bits."""
    return "onnxruntime" if _REASONS["onnxruntime"]() is None else "reference"


def make_executor(program: Program, name: str) -> Executor:
    """The program prepared for the engine of that name; EngineError if it cannot run it."""
    return _MAKERS[name](program)


def warn_of_the_reference(reason: str) -> None:
    """Warn at the user's line: the first above that is not in this package."""
    warn(f"{reason}; running on the reference engine, which is exact but slow", RuntimeWarning)
