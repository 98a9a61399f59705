import pytest
import torch
from torch import Tensor

from zeropoint.arithmetic.integer import UINT8
from zeropoint.arithmetic.qparams import QParams, per_tensor
from zeropoint.arithmetic.requantize import Float32
from zeropoint.execute.onednn.joining import Joining
from zeropoint.execute.onednn.layout import channels_last
from zeropoint.execute.onednn.library import Library
from zeropoint.execute.onednn.memory import Memory
from zeropoint.graph.op import Signature
from zeropoint.ops.concat import Concat

Y = per_tensor(0.05, 100, UINT8)
OTHER = per_tensor(0.031, 7, UINT8)


def codes(*shape: int) -> Tensor:
    q = torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(sum(shape)))
    return q.to(torch.uint8)


def joined(library: Library, axis: int, parts: list[tuple[Tensor, QParams]]) -> None:
    """The kernel does what the operator says, twice, within one step."""
    affine = [None if p == Y else (p.scale.item(), int(p.zero_point)) for _, p in parts]
    kernel = Joining(library, Memory(), axis, affine, (Y.scale.item(), int(Y.zero_point)))
    tensors = [q for q, _ in parts]
    signature = Signature(tuple(p for _, p in parts), Y)
    expected = Concat(axis).run_integer(tensors, signature, Float32())
    for _ in range(2):
        y = kernel(*tensors)
        assert y.shape == expected.shape
        assert (y.int() - expected.int()).abs().max() <= 1
        assert channels_last(y).data_ptr() == y.data_ptr()
    begin = 0
    for q, p in parts:
        if p == Y:
            assert torch.equal(y.narrow(axis, begin, q.shape[axis]), q), "codes stay"
        begin += q.shape[axis]


@pytest.mark.parametrize("shape", [(2, 3, 4), (2, 3, 4, 5), (2, 3, 4, 5, 2)])
def test_parts_meet_along_any_axis(library: Library, shape: tuple[int, ...]) -> None:
    for axis in range(len(shape)):
        longer = tuple(n + 2 * (index == axis) for index, n in enumerate(shape))
        joined(library, axis, [(codes(*shape), Y), (codes(*longer), OTHER)])


def test_a_part_lies_in_memory_in_any_order(library: Library) -> None:
    views = {
        "channels last": channels_last(codes(2, 3, 4, 5)),
        "turned": codes(2, 3, 5, 4).mT,
        "every other": codes(2, 3, 8, 10)[:, :, ::2, 1::2],
        "repeated": codes(2, 3, 1, 5).expand(2, 3, 4, 5),
    }
    joined(library, 1, [(view, OTHER) for view in views.values()])


def test_a_part_may_be_empty(library: Library) -> None:
    joined(library, 2, [(codes(2, 3, 0, 5), OTHER), (codes(2, 3, 4, 5), OTHER)])


def test_another_neighbour_moves_the_place(library: Library) -> None:
    kernel = Joining(library, Memory(), 1, [None, (0.031, 7)], (0.05, 100))
    for channels in (1, 4):
        first, second = codes(1, channels, 2, 2), codes(1, 3, 2, 2)
        expected = Concat(1).run_integer([first, second], Signature((Y, OTHER), Y), Float32())
        assert (kernel(first, second).int() - expected.int()).abs().max() <= 1
