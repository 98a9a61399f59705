"""One thread in torch and the same examples in every run: what fails here fails everywhere."""

from collections.abc import Iterator

import pytest
import torch
from hypothesis import settings

from zeropoint.execute import choosing, engines

torch.set_num_threads(1)

settings.register_profile("zeropoint", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("zeropoint")


all_candidates = choosing.candidates
"""What engine="auto" chooses from outside the tests."""

all_objections = choosing._objection
"""How it verifies the one engine that there is."""


@pytest.fixture(scope="session", autouse=True)
def auto_is_onednn() -> Iterator[None]:
    """engine="auto" times and verifies nothing: quick, and the same on every day.

    test_choosing.py lifts it. What onednn computes is compared by the tests themselves.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(choosing, "candidates", only_onednn)
        patch.setattr(choosing, "_objection", lambda *verified: None)
        yield


def only_onednn() -> list[str]:
    return ["onednn"] if engines._REASONS["onednn"]() is None else []
