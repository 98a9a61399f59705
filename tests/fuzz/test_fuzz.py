import subprocess
import sys


def test_300_altered_files_are_refused_in_words_or_run_the_same_on_every_engine() -> None:
    """The whole run is `python -m tests.fuzz`."""
    counts = ("--programs", "220", "--statistics", "80", "--originals", "14")
    command = [sys.executable, "-m", "tests.fuzz", *counts]
    found = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert found.returncode == 0, found.stdout + found.stderr
    assert "     0 programs failed\n" in found.stdout
    assert "     0 statistics failed\n" in found.stdout
    ran = next(line for line in found.stdout.splitlines() if "every engine agrees" in line)
    assert int(ran.split()[0]) > 0  # not everything is refused before it runs
