import os
import signal
import time

import pytest

from tests.fuzz.trials import Outcome
from tests.fuzz.workers import Failure, run_all

MEMORY = 1 << 40


def trial(number: int) -> Outcome:
    match number:
        case 1:
            os.kill(os.getpid(), signal.SIGKILL)
        case 2:
            time.sleep(60)
        case 3:
            raise KeyError("raw")
        case 4:
            bytearray(MEMORY)
        case 5:
            os._exit(7)
    return Outcome.AGREES


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_trial_that_ends_its_process_or_holds_it_up_fails_alone() -> None:
    found = dict(run_all(trial, range(7), seconds=0.5))
    assert {n for n, outcome in found.items() if outcome is Outcome.AGREES} == {0, 6}
    said = {n: outcome.what for n, outcome in found.items() if isinstance(outcome, Failure)}
    assert said[1] == "ended by SIGKILL"
    assert said[2] == "still running after 0 s"
    assert "KeyError: 'raw'" in said[3]
    assert "MemoryError" in said[4]
    assert said[5] == "ended by exit code 7"
