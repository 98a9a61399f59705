"""What is mutated: small programs that hold every operator, and statistics, as bytes."""

import random

import torch
from hypothesis import HealthCheck, given, settings

from tests.conformance.cases import CASES
from tests.conformance.draft import Case
from tests.nets import Gated, Islands, MobileNetLike, Residual, images, lowered, seeded
from zeropoint.capture import capture
from zeropoint.observe.observation import Observation
from zeropoint.observe.statistics import Observed, Statistics
from zeropoint.passes import simplify
from zeropoint.program import file

NETS = (Residual, MobileNetLike, Gated, Islands)
DRAWN = 4
"""Cases of an operator that are drawn; the last, which is no minimal one, is taken."""

MOST_BYTES = 200_000


def programs(count: int, seed: int) -> list[bytes]:
    """So many programs: the networks, and operators chosen by the seed; all of them for 0."""
    titles = list(CASES)
    random.Random(seed).shuffle(titles)
    nets = [
        file.dumps(lowered(simplify(capture(seeded(net()), (images(),))), images()))
        for net in NETS[: count or None]
    ]
    wanted = titles[: max(count - len(nets), 0)] if count else titles
    cases = [content for title in wanted if len(content := _case(title)) <= MOST_BYTES]
    return nets + cases


def _case(title: str) -> bytes:
    found: list[Case] = []

    @settings(
        max_examples=DRAWN,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(CASES[title])
    def collect(case: Case) -> None:
        found.append(case)

    collect()
    return file.dumps(found[-1].program)


def statistics() -> list[bytes]:
    """Statistics of one value, of several with sums and levels, and of none."""
    generator = torch.Generator().manual_seed(0)
    values = {}
    for name, channels in (("x", 3), ("y", 5)):
        seen = Observation(axes=(1,))
        for _ in range(3):
            seen.add(torch.randn(4, channels, 6, 6, generator=generator))
        values[name] = Observed("conv", ("N", channels, "H", "W"), seen)
    values["unseen"] = Observed("", ("N", 2), Observation())
    whole = Statistics(values, ((4, 3, 6, 6),), 12, {"conv.weight": 7}, levels=_levels())
    single = Statistics({"x": values["x"]}, ((4, 3, 6, 6),), 12, {})
    return [whole.dumps(), single.dumps(), Statistics({}, (), 0, {}).dumps()]


def _levels() -> dict[str, torch.Tensor]:
    return {"y": torch.arange(5, dtype=torch.uint8)}
