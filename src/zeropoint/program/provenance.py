"""Where a program comes from: kept in its file, shown by `inspect`."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Provenance:
    """Versions, recipe and data that made a program.

    `target` is the engine that it was made for. `macs` counts the multiply-accumulates of each node
    (by its output) for one sample of `input_shapes`. `narrow` counts the channels of a weight that
    have 7 bits because the CPU had no VNNI.
    """

    zeropoint: str = ""
    torch: str = ""
    model: str = ""
    recipe: str = ""
    samples: int = 0
    input_shapes: tuple[tuple[int, ...], ...] = ()
    macs: Mapping[str, int] = field(default_factory=dict)
    target: str = ""
    narrow: Mapping[str, int] = field(default_factory=dict)
