import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import Tensor

from zeropoint.execute.onednn.pooling import max_pool
from zeropoint.ops.pool import MaxPool2d

LAST = torch.channels_last


def codes(*shape: int, seed: int = 0) -> Tensor:
    q = torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(seed))
    return q.to(torch.uint8).contiguous(memory_format=LAST)


def by_torch(x: Tensor, op: MaxPool2d) -> Tensor:
    return op.run(x.to(torch.float32)).clamp(min=0.0).to(torch.uint8)


@given(
    kernel=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    stride=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    halves=st.tuples(st.booleans(), st.booleans()),
    dilation=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    ceil_mode=st.booleans(),
    size=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    seed=st.integers(0, 1000),
)
def test_the_greatest_of_shifted_views_is_torch_s_max_pool(
    kernel: tuple[int, int],
    stride: tuple[int, int],
    halves: tuple[bool, bool],
    dilation: tuple[int, int],
    ceil_mode: bool,
    size: tuple[int, int],
    seed: int,
) -> None:
    padding = (halves[0] * (kernel[0] // 2), halves[1] * (kernel[1] // 2))
    reach = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    assume(all(n + 2 * p >= r for n, p, r in zip(size, padding, reach, strict=True)))
    op = MaxPool2d(kernel, stride, padding, dilation, ceil_mode)
    x = codes(2, 3, *size, seed=seed)
    assert torch.equal(max_pool(x, op), by_torch(x, op))


@pytest.mark.parametrize(
    "op",
    [
        MaxPool2d((3, 3), (2, 2), (1, 1)),  # ResNet
        MaxPool2d((2, 2), (2, 2)),
        MaxPool2d((3, 3), (2, 2), ceil_mode=True),  # SqueezeNet
        MaxPool2d((5, 5), (1, 1), (2, 2)),  # spatial pyramids
        MaxPool2d((1, 1), (1, 1)),
        MaxPool2d((1, 1), (2, 2)),
        MaxPool2d((7, 7), (7, 7)),  # the whole image
    ],
)
def test_the_usual_pools(op: MaxPool2d) -> None:
    x = codes(2, 8, 7, 7)
    before = x.clone()
    pooled = max_pool(x, op)
    assert torch.equal(pooled, by_torch(x, op))
    assert torch.equal(x, before)
    assert pooled.dtype == torch.uint8
    assert pooled.is_contiguous(memory_format=LAST)


@pytest.mark.parametrize("op", [MaxPool2d((1, 1), (1, 1)), MaxPool2d((2, 2), (1, 1))])
def test_the_result_is_in_memory_of_its_own(op: MaxPool2d) -> None:
    x = codes(1, 2, 3, 3)
    before = x.clone()
    max_pool(x, op).fill_(77)
    assert torch.equal(x, before)


def test_planes_of_more_than_255_pixels_work() -> None:
    # torch's own max_pool2d refuses those of uint8.
    op, x = MaxPool2d((3, 3), (2, 2), (1, 1)), codes(1, 1, 40, 40)
    assert torch.equal(max_pool(x, op), by_torch(x, op))


def test_images_may_lie_in_memory_in_any_order() -> None:
    op, x = MaxPool2d((3, 2), (2, 1), (1, 1)), codes(2, 3, 9, 8)
    assert torch.equal(max_pool(x.contiguous(), op), by_torch(x, op))
    assert torch.equal(max_pool(x[:, :, ::2], op), by_torch(x[:, :, ::2], op))


def test_no_tap_that_meets_every_window_is_no_obstacle() -> None:
    # Windows at -1 and 2 of an image of 3: the first tap misses the first, the second the last.
    op, x = MaxPool2d((2, 2), (3, 3), (1, 1), ceil_mode=True), codes(1, 1, 3, 3)
    assert torch.equal(max_pool(x, op), by_torch(x, op))


def test_a_window_that_sees_only_padding_yields_the_lowest_code() -> None:
    # In float it yields -inf.
    op, x = MaxPool2d((2, 2), (1, 1), (1, 1), dilation=(3, 3)), codes(1, 1, 2, 2) | 1
    assert op.run(x.float()).item() == -torch.inf
    assert max_pool(x, op).item() == 0
