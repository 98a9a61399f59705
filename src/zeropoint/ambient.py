"""torch's process-wide defaults, set aside where numbers must be float32 in the CPU's memory.

`torch.set_default_device`, `torch.set_default_dtype` and `with torch.device(...)` change what
`torch.zeros(3)` makes. Users set them for their own models; a program and the engines that run it
are made on the CPU.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

CPU = torch.device("cpu")


@contextmanager
def plain() -> Iterator[None]:
    """While it lasts, torch makes float32 tensors on the CPU."""
    before = torch.get_default_dtype()
    try:
        torch.set_default_dtype(torch.float32)
        with CPU:
            yield
    finally:
        torch.set_default_dtype(before)


def is_plain() -> bool:
    """True if torch makes float32 tensors on the CPU anyway."""
    no_device_is_set = not torch._C._len_torch_function_stack()
    return no_device_is_set and torch.get_default_dtype() is torch.float32
