"""The onednn executor: torch's own int8 kernels, called one after the other."""

from zeropoint.execute.onednn.executor import OneDnn
from zeropoint.execute.onednn.operators import why_unusable

__all__ = ["OneDnn", "why_unusable"]
