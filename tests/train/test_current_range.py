import pytest
import torch
from torch.autograd import backward

from tests.train.starts import weight
from zeropoint.arithmetic.qparams import simulate
from zeropoint.train.current_range import CurrentRange

DATA = torch.randn(4, 3, 2, 2, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("axis", [0, None])
def test_the_scale_is_the_greatest_weight_over_the_greatest_code(axis: int | None) -> None:
    quantizer = CurrentRange().quantizer(weight(DATA, bits=4, axis=axis))
    greatest = DATA.abs().amax((1, 2, 3)) if axis == 0 else DATA.abs().max()
    torch.testing.assert_close(quantizer.grid(DATA).scale, greatest / 7)


def test_the_range_shrinks_with_the_weight() -> None:
    """One that never does is the article's second defect."""
    quantizer = CurrentRange().quantizer(weight(DATA))
    quantizer(100 * DATA)
    expected = quantizer.grid(DATA)
    small = DATA / 10
    torch.testing.assert_close(quantizer.grid(small).scale, expected.scale / 10)
    assert (quantizer(small) - small).abs().max() <= 0.5001 * quantizer.grid(small).scale.max()


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("axis", [0, None])
def test_nothing_is_clipped_so_every_gradient_passes(symmetric: bool, axis: int | None) -> None:
    quantizer = CurrentRange().quantizer(weight(DATA, bits=2, symmetric=symmetric, axis=axis))
    x = (3 * DATA - 1).requires_grad_()
    gradient = torch.randn(DATA.shape, generator=torch.Generator().manual_seed(1))
    backward(quantizer(x), gradient)
    assert x.grad is not None
    assert torch.equal(x.grad, gradient)


@pytest.mark.parametrize("axis", [0, None])
def test_weights_that_become_negative_get_a_grid_for_it(axis: int | None) -> None:
    quantizer = CurrentRange().quantizer(weight(DATA.abs(), symmetric=False, axis=axis))
    for data in (DATA.abs(), DATA, -DATA.abs()):
        assert torch.equal(quantizer(data), simulate(data, quantizer.grid(data)))
        assert (quantizer(data) - data).abs().max() <= 0.51 * quantizer.grid(data).scale.max()


def test_nothing_is_kept_but_what_kind_of_grid_it_is() -> None:
    quantizer = CurrentRange().quantizer(weight(DATA))
    assert list(quantizer.state_dict()) == ["widths"]
    assert not list(quantizer.parameters())


def test_other_bits_need_no_more_than_to_be_said() -> None:
    quantizer = CurrentRange().quantizer(weight(DATA))
    quantizer.begin(weight(DATA, bits=2))
    assert quantizer(DATA).unique().numel() <= 3 * 4


def test_it_takes_weights_of_any_dtype() -> None:
    quantizer = CurrentRange().quantizer(weight(DATA)).double()
    wide = DATA.double()
    assert quantizer(wide).dtype == torch.float64
    torch.testing.assert_close(
        quantizer(wide).float(), CurrentRange().quantizer(weight(DATA))(DATA)
    )
