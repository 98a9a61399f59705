import re
import sys

import pytest

from zeropoint.errors import ExportError
from zeropoint.execute.openvino import why_unusable
from zeropoint.export.openvino.package import core, import_openvino


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(ExportError, match=re.escape("pip install 'zeropoint[openvino]'")):
        import_openvino()


@pytest.mark.skipif(why_unusable() is not None, reason=str(why_unusable()))
def test_the_core_is_loaded_once() -> None:
    assert core() is core()
