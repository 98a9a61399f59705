import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.conformance.draft import Draft, Sample
from tests.conformance.suite import compare
from zeropoint.arithmetic.integer import UINT8
from zeropoint.arithmetic.qparams import per_tensor
from zeropoint.execute.onednn import OneDnn, why_unusable
from zeropoint.execute.onednn.transposed import spread
from zeropoint.execute.reference import Reference
from zeropoint.ops.conv_transpose import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d

usable = pytest.mark.skipif(why_unusable() is not None, reason=str(why_unusable()))

Op = ConvTranspose1d | ConvTranspose2d | ConvTranspose3d


def check(op: Op, image: tuple[int, ...], kernel: tuple[int, ...], outputs: int = 6) -> None:
    """Both ways to the kernels are right, narrow and wide."""
    draft = Draft(seed=0, sample=Sample.ALIKE)
    x = draft.activation(image, per_tensor(0.02, 77, UINT8))
    weight = (outputs, image[1] // op.groups, *kernel)
    wide = draft.layer(op, x, weight, None)
    grid = per_tensor(0.015 * float(draft.real[wide.name].abs().max()) + 0.001, 100, UINT8)
    case = draft.case(wide, draft.layer(op, x, weight, grid))
    expected = Reference(case.program).run(case.inputs)
    for executor in (OneDnn(case.program), OneDnn(case.program, direct=False)):
        for _ in range(2):
            assert compare(case, executor.run(case.inputs), expected).worst <= 1


@pytest.mark.parametrize(
    ("op", "kernel"),
    [
        (ConvTranspose2d((2, 2)), (2, 2)),
        (ConvTranspose2d((2, 2), (1, 1)), (4, 4)),
        (ConvTranspose2d((2, 2), (1, 1), output_padding=(1, 1)), (3, 3)),
        (ConvTranspose2d((3, 1), (0, 2)), (5, 3)),
        (ConvTranspose2d((2, 2), groups=2), (3, 3)),
        (ConvTranspose2d((2, 2), (1, 1), output_padding=(1, 1), groups=4), (3, 3)),
        (ConvTranspose2d((1, 2), dilation=(2, 3)), (3, 2)),
        (ConvTranspose2d((3, 3)), (2, 2)),  # gaps
        (ConvTranspose2d((2, 2), output_padding=(1, 1)), (2, 2)),  # beyond the last window
        (ConvTranspose2d((2, 2), (3, 3)), (3, 3)),  # more padding than the window reaches
    ],
    ids=str,
)
@usable
def test_every_geometry_has_its_way(op: ConvTranspose2d, kernel: tuple[int, ...]) -> None:
    check(op, (2, 4, 5, 7), kernel, outputs=8)


@usable
def test_lines_and_volumes() -> None:
    check(ConvTranspose1d((2,), (1,)), (2, 3, 9), (4,))
    check(ConvTranspose1d((2,), (1,), (2,), groups=3, output_padding=(1,)), (2, 3, 9), (3,))
    check(ConvTranspose3d((2, 2, 2)), (2, 3, 3, 4, 5), (2, 2, 2))
    check(ConvTranspose3d((1, 2, 3), (1, 0, 0)), (1, 3, 3, 4, 5), (3, 2, 2))


def possible(sides: list[tuple[int, ...]]) -> bool:
    """True if torch takes the padding, and something is left."""
    return all(
        more < max(s, d) and (n - 1) * s - 2 * p + d * (k - 1) + more + 1 > 0
        for n, k, s, p, more, d in sides
    )


side = st.tuples(*(st.integers(*ends) for ends in ((1, 5), (1, 4), (1, 3), (0, 2), (0, 1), (1, 2))))


@usable
@given(sides=st.lists(side, min_size=2, max_size=2).filter(possible))
def test_any_geometry(sides: list[tuple[int, ...]]) -> None:
    size, kernel, stride, padding, more, apart = zip(*sides, strict=True)
    op = ConvTranspose2d(stride, padding, apart, output_padding=more)
    check(op, (1, 2, *size), kernel, outputs=3)


def test_what_is_between_the_elements_stands_for_zero() -> None:
    x = torch.tensor([[[1, 2, 3]]], dtype=torch.uint8)
    apart = spread(ConvTranspose1d((2,)), (2,), 9, lambda y: y)
    assert apart(x).tolist() == [[[9, 1, 9, 2, 9, 3, 9]]]
    cut = spread(ConvTranspose1d((2,), (3,), output_padding=(1,)), (3,), 9, lambda y: y)
    assert cut(x).tolist() == [[[9, 2, 9, 3]]]
