"""The machine's matrix-product rates: the ceiling that every engine's time is held against.

One 4096^3 product, uint8 by int8 through the oneDNN kernel that torch carries, float32 through
`torch.mm`. It fits no cache and needs no im2col, so convolutions come near its rate but hardly
above it.
"""

import time
from collections.abc import Callable

import torch

SIDE = 4096
PRODUCTS = 5


def int8_rate() -> float:
    """Multiply-accumulates per second of the uint8 by int8 product, int32 accumulation."""
    x = torch.randint(0, 256, (SIDE, SIDE), dtype=torch.uint8)
    weight = torch.randint(-127, 128, (SIDE, SIDE), dtype=torch.int8)  # (out, in)
    scales = torch.full((SIDE,), 1e-3)
    zero_points = torch.zeros(SIDE, dtype=torch.int64)
    packed = torch.ops.onednn.qlinear_prepack(weight, [SIDE, SIDE])

    def product() -> object:
        return torch.ops.onednn.qlinear_pointwise(
            x,
            1e-3,  # x scale
            128,  # x zero point
            packed,
            scales,
            zero_points,
            None,  # bias
            1.0,  # output scale
            128,  # output zero point
            torch.uint8,
            "none",
            [],
            "",
        )

    return SIDE**3 / fastest(product)


def float_rate() -> float:
    """Multiply-accumulates per second of the float32 product."""
    x, weight = torch.randn(SIDE, SIDE), torch.randn(SIDE, SIDE)
    return SIDE**3 / fastest(lambda: torch.mm(x, weight))


def fastest(product: Callable[[], object]) -> float:
    """Seconds of the fastest of `PRODUCTS` calls: a ceiling is what the machine can do."""
    seconds = []
    for _ in range(PRODUCTS + 1):  # one more: the first also allocates
        start = time.perf_counter()
        product()
        seconds.append(time.perf_counter() - start)
    return min(seconds[1:])


if __name__ == "__main__":
    for name, rate in (("u8 x s8", int8_rate()), ("float32", float_rate())):
        print(f"{name}: {rate / 1e12:.3f} T MAC/s on {torch.get_num_threads()} threads")
