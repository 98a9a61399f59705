"""What processes that work together must agree on. Transport is torch.distributed's alone."""

import torch
import torch.distributed as dist
from torch import Tensor


def processes() -> int:
    """How many processes take part; 1 without torch.distributed."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def share(count: int) -> int:
    """How many of `count` samples this process looks at."""
    if processes() == 1:
        return count
    whole, rest = divmod(count, processes())
    return whole + (dist.get_rank() < rest)


def largest(x: Tensor) -> Tensor:
    """The elementwise maximum over all processes, the same on each."""
    if processes() > 1:
        x = x.contiguous()
        dist.all_reduce(x, op=dist.ReduceOp.MAX)
    return x


def summed(x: Tensor) -> Tensor:
    """The elementwise sum over all processes, the same on each."""
    if processes() > 1:
        x = x.contiguous()
        dist.all_reduce(x)
    return x


def mean(x: Tensor) -> Tensor:
    """The elementwise mean over all processes, the same on each."""
    return summed(x) / processes() if processes() > 1 else x


def total(count: int) -> int:
    """The sum of a number over all processes."""
    return int(sum(int(part) for part in gathered(torch.tensor([count]))))


def gathered(x: Tensor) -> list[Tensor]:
    """The tensors of all processes by rank; they may differ in their first size."""
    if processes() == 1:
        return [x]
    sizes = torch.cat(_all(torch.tensor([x.shape[0]]))).tolist()
    padded = torch.cat([x, x.new_zeros(max(sizes) - x.shape[0], *x.shape[1:])])
    return [part[:size] for part, size in zip(_all(padded), sizes, strict=True)]


def _all(x: Tensor) -> list[Tensor]:
    """Those of all processes, which have one shape; NCCL takes nothing that is not on a GPU."""
    here = torch.device("cuda") if dist.get_backend() == "nccl" else x.device
    parts = [torch.empty_like(x, device=here) for _ in range(processes())]
    dist.all_gather(parts, x.to(here))
    return [part.to(x.device) for part in parts]
