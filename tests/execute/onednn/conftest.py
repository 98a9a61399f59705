"""What the tests of primitives share."""

import pytest

from zeropoint.execute.onednn.library import Library, find_library


@pytest.fixture
def library() -> Library:
    """oneDNN inside torch."""
    found = find_library()
    if found is None:
        pytest.skip("this torch does not show oneDNN's functions")
    return found
