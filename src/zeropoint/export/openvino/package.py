"""The openvino package: optional, and its Core loaded once."""

from functools import cache
from typing import Any

from zeropoint.errors import ExportError


def import_openvino() -> None:
    """ExportError that names the extra, where the package is missing."""
    try:
        import openvino  # noqa: F401
    except ImportError as error:
        raise ExportError(
            "writing OpenVINO IR needs openvino, which is not installed: "
            "pip install 'zeropoint[openvino]'"
        ) from error


@cache
def core() -> Any:  # an openvino.Core: its types are generated
    """OpenVINO with its plugins, which take a quarter of a second to load."""
    import openvino

    return openvino.Core()
