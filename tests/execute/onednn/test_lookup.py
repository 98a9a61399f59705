import pytest
import torch

from zeropoint.execute.onednn.lookup import lookup

ENTRIES = torch.arange(256).mul(89).add(7).remainder(256).to(torch.uint8)
SHAPES = [(1,), (2,), (3,), (5, 7), (2, 3, 5, 5), (1, 8, 6, 6), (0, 3), (2, 3, 4)]


def codes(*shape: int) -> torch.Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8)


@pytest.mark.parametrize("shape", SHAPES)
def test_every_code_becomes_its_entry(shape: tuple[int, ...]) -> None:
    q = codes(*shape)
    assert torch.equal(lookup(ENTRIES)(q), ENTRIES[q.long()])


def test_a_result_lies_in_memory_as_its_operand() -> None:
    q = codes(2, 3, 4, 5).contiguous(memory_format=torch.channels_last)
    y = lookup(ENTRIES)(q)
    assert y.stride() == q.stride()
    assert torch.equal(y, ENTRIES[q.long()])
    assert torch.equal(
        lookup(ENTRIES)(q.permute(0, 2, 3, 1)), ENTRIES[q.long()].permute(0, 2, 3, 1)
    )


def test_views_of_any_kind_are_looked_up() -> None:
    q = codes(4, 3, 5, 7)
    for view in (q[1:], q[:, 1:], q[..., 1:], q[..., ::2], q.flatten()[1:], q[:, :, 0]):
        assert torch.equal(lookup(ENTRIES)(view), ENTRIES[view.long()])


def test_a_table_of_fewer_entries_is_a_table() -> None:
    few = ENTRIES[:8]
    q = torch.randint(0, 8, (3, 3), dtype=torch.uint8)
    assert torch.equal(lookup(few)(q), few[q.long()])
