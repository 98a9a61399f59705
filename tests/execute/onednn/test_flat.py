"""Memory stays where it is, however often images change their size."""

import subprocess
import sys

import pytest

from zeropoint.execute.onednn import why_unusable

pytestmark = pytest.mark.skipif(why_unusable() is not None, reason=str(why_unusable()))

CALLS = 360


def test_memory_is_flat_while_sizes_change() -> None:
    command = [sys.executable, "-m", "tests.execute.onednn.flat"]
    command += ["--calls", str(CALLS), "--engine", "onednn"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    megabytes = [float(line.split()[1]) for line in done.stdout.splitlines()]
    assert megabytes[-1] < 1.05 * megabytes[len(megabytes) // 3]
