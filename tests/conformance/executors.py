"""The executors by name; each test of the suite runs on all of them."""

from collections.abc import Callable

import pytest

from zeropoint.execute.engines import engines, make_executor
from zeropoint.execute.executor import Executor
from zeropoint.execute.onednn import OneDnn
from zeropoint.program.program import Program

BY_TORCH = "onednn by torch's operators"
"""The same engine as it runs where oneDNN's own functions cannot be reached."""

NAMES = [*(engine.name for engine in engines()), BY_TORCH]


def maker(engine: str) -> Callable[[Program], Executor]:
    """What prepares programs for an engine; the test is skipped where the engine is not usable."""
    name = "onednn" if engine == BY_TORCH else engine
    reason = next(found.reason for found in engines() if found.name == name)
    if reason:
        pytest.skip(reason)
    if engine == BY_TORCH:
        return lambda program: OneDnn(program, direct=False)
    return lambda program: make_executor(program, engine)
