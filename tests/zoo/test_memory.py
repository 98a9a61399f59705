import os
import subprocess
import sys
from pathlib import Path

import pytest

from zoo.memory import resident_mebibytes

pytestmark = pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="not Linux")

ROOT = Path(__file__).parents[2]
GROWS = "x = bytearray(200 << 20); print(flush=True); input()"


FORGETS = """
from zoo.memory import forget_peak, peak_mebibytes
x = bytearray(300 << 20)
with_x = peak_mebibytes()
del x
forget_peak()
print(with_x - peak_mebibytes())
"""


def test_the_peak_is_that_since_it_was_forgotten() -> None:
    """In a process of its own: what other tests have left in this one is no part of it."""
    words = [sys.executable, "-c", FORGETS]
    fallen = subprocess.run(words, check=True, capture_output=True, text=True, cwd=ROOT).stdout
    assert int(fallen) > 200


def test_children_count() -> None:
    alone = resident_mebibytes(os.getpid())
    words = [sys.executable, "-c", GROWS]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert resident_mebibytes(os.getpid()) > alone + 150
        child.communicate(b"\n")


def test_a_process_that_is_gone_has_nothing() -> None:
    assert resident_mebibytes(2**22) == 0
