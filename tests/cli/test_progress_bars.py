import os
import pty
import subprocess
import sys

from tests.cli.shell import Shell


def test_bars_are_drawn_on_a_terminal_and_not_in_a_pipe(zeropoint: Shell) -> None:
    command = [sys.executable, "-c", "from zeropoint.cli import main; main()"]
    command += ["evaluate", str(zeropoint.file), "--data", str(zeropoint.data)]
    command += ["--engine", "reference"]
    piped = subprocess.run(command, capture_output=True, check=True)
    assert piped.stderr == b""
    controller, terminal = pty.openpty()
    subprocess.run(command, stdout=terminal, stderr=terminal, check=True)
    os.close(terminal)
    shown = os.read(controller, 65536)
    os.close(controller)
    assert b"evaluate" in shown
