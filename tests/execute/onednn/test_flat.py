"""Memory stays where it is, however often images change their size."""

import subprocess
import sys

import pytest

import zeropoint as zp

CALLS = 360


@pytest.mark.parametrize(
    "engine", [e.name for e in zp.engines() if e.usable and e.name == "onednn"]
)
def test_memory_is_flat_while_sizes_change(engine: str) -> None:
    command = [sys.executable, "-m", "tests.execute.onednn.flat"]
    command += ["--calls", str(CALLS), "--engine", engine]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    megabytes = [float(line.split()[1]) for line in done.stdout.splitlines()]
    assert megabytes[-1] < 1.05 * megabytes[len(megabytes) // 3]
