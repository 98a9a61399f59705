"""A random network from a seed, as source and as a module, and the shapes that it takes.

The seed is all that a failure needs: the same one gives the same network, weights and images.
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.random_networks.blocks import BLOCKS, Block, Shape, conv, head

LONGEST = 9
MOST_ELEMENTS = 8192
BATCH = 2
CALLS = 5


@dataclass(frozen=True)
class Network:
    """`shapes` are those of the calls, in their order; the first is that of the calibration."""

    seed: int
    modules: tuple[str, ...]
    lines: tuple[str, ...]
    shapes: tuple[Shape, ...]

    @property
    def source(self) -> str:
        """The network as one would write it."""
        made = [f"        self.m{i} = {module}" for i, module in enumerate(self.modules)]
        lines = [f"        {line}" for line in self.lines]
        head = ["class Net(nn.Module):", "    def __init__(self):", "        super().__init__()"]
        return "\n".join([*head, *made, "", "    def forward(self, x):", *lines, ""])

    def module(self) -> nn.Module:
        """The module, with seeded weights."""
        return _module(self.source, self.seed)

    def image(self, shape: Shape, number: int) -> Tensor:
        """The input of one call."""
        generator = torch.Generator().manual_seed(1000 * self.seed + number)
        return torch.randn(shape, generator=generator)


def _module(source: str, seed: int) -> nn.Module:
    names: dict[str, Any] = {"torch": torch, "nn": nn, "F": F}
    exec(source, names)  # our own text
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module: nn.Module = names["Net"]()
        for parameter in module.parameters():
            parameter.data.add_(0.02 * torch.randn(parameter.shape))
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
            assert norm.running_var is not None
            norm.running_var.fill_(0.5)
    return module.eval()


def draw(seed: int) -> Network:
    """The network of a seed."""
    found, tries = _drawn(seed, Random(seed)), 1
    while not found.modules:  # there is nothing to quantize
        found, tries = _drawn(seed, Random(seed + tries * 1_000_003)), tries + 1
    return found


def _drawn(seed: int, random: Random) -> Network:
    rank = random.choice([1, 2, 2, 2, 3])
    channels, size = random.choice([1, 2, 3, 4]), random.choice([1, 4, 5, 8, 8])
    shape = (BATCH, channels, *[max(1, size + random.choice([-1, 0, 0, 2])) for _ in range(rank)])
    growing = _Growing(seed, random, shape)
    if random.random() < 0.7:
        growing.add(conv)
    for _ in range(random.randint(2, LONGEST)):
        growing.add(random.choice(BLOCKS))
    if random.random() < 0.7:
        growing.add(head)
    return growing.network()


class _Growing:
    """A network so far: every block is tried before it stays."""

    def __init__(self, seed: int, random: Random, shape: Shape) -> None:
        self._seed, self._random = seed, random
        self._first = self._shape = shape
        self.modules: list[str] = []
        self._lines: list[str] = []

    def add(self, draw: Callable[[Random, Shape], Block | None], tries: int = 3) -> None:
        """One block more, unless it fits nowhere."""
        for _ in range(tries):
            block = draw(self._random, self._shape)
            if block is not None and self._tried(block):
                return

    def network(self) -> Network:
        """The network, with the shapes on which the float one runs."""
        lines = (*self._lines, "return x")
        whole = Network(self._seed, tuple(self.modules), lines, ())
        module, shapes = whole.module(), [self._first]
        for _ in range(CALLS):
            shape = self._another()
            if _result(module, shape) is not None:
                shapes.append(shape)
        return Network(self._seed, whole.modules, lines, tuple(shapes))

    def _another(self) -> Shape:
        batch, channels, *sizes = self._first
        batch = self._random.choice([1, 1, 2, 3, 5])
        if self._random.random() < 0.5:
            return (batch, channels, *sizes)
        changed = [max(1, n + self._random.choice([-2, -1, 0, 1, 3])) for n in sizes]
        return (batch, channels, *changed)

    def _tried(self, block: Block) -> bool:
        first = len(self.modules)
        places = {"m": f"m{first}", "n": f"m{first + 1}"}
        line = f"x = {block.expression.format(**places)}"
        modules = (*self.modules, *block.modules)
        trial = Network(self._seed, modules, (*self._lines, line, "return x"), ())
        found = _result(trial.module(), self._first)
        if found is None or found.numel() > MOST_ELEMENTS or not 2 <= found.ndim <= 5:
            return False
        if not (found.abs().max() < 1e3 and found.std() > 1e-3):  # not finite, or next to constant
            return False
        self.modules, self._shape = list(modules), tuple(found.shape)
        self._lines.append(line)
        return True


def _result(module: nn.Module, shape: Shape) -> Tensor | None:
    """What float computes; None if it refuses, or leaves nothing."""
    try:
        with torch.no_grad():
            found: Tensor = module(torch.randn(shape, generator=torch.Generator().manual_seed(7)))
    except (RuntimeError, ValueError, IndexError):
        return None
    return found if found.numel() else None
