import errno
import functools
import tempfile
from collections.abc import Iterator
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from torch import Tensor, nn

import zeropoint as zp
from tests.nets import images, seeded
from zeropoint import samples
from zeropoint.errors import CalibrationError
from zeropoint.observe.best import CALIBRATORS, Best
from zeropoint.observe.calibrator import Calibrator
from zeropoint.samples import MOST, NUMBERS, Samples, whole_number

SHAPES = [("N", 3, "H", "W")]
PICTURES = images(24) * torch.linspace(0.2, 3.0, 24).reshape(-1, 1, 1, 1)
MODEL = seeded(
    nn.Sequential(
        nn.Conv2d(3, 6, 3), nn.ReLU6(), nn.Conv2d(6, 6, 3, groups=6), nn.SiLU(), nn.Conv2d(6, 4, 1)
    )
)


def contents(found: Iterator[tuple[Tensor, ...]]) -> list[list[Any]]:
    return [[x.tolist() for x in inputs] for inputs in found]


def batches(x: Tensor, sizes: list[int]) -> list[Tensor]:
    """The samples in batches of these sizes, again and again."""
    found: list[Tensor] = []
    start = 0
    while start < len(x):
        size = sizes[len(found) % len(sizes)]
        found.append(x[start : start + size])
        start += size
    return found


@functools.cache
def quantized(calibrator: Calibrator, loader: tuple[Tensor, ...]) -> zp.QuantizedModel:
    recipe = zp.Recipe(activations=zp.TensorSpec(calibrator=calibrator))
    return zp.quantize(MODEL, iter(loader), recipe, engine="reference")


orders = st.permutations(range(len(PICTURES)))
cuts = st.lists(st.integers(1, 9), min_size=1, max_size=4)


@given(orders, cuts)
@settings(max_examples=20, deadline=None)
def test_the_same_samples_in_any_order_and_batches_come_out_alike(
    order: list[int], sizes: list[int]
) -> None:
    one = Samples([(PICTURES,)], SHAPES)
    other = Samples([(x,) for x in batches(PICTURES[order], sizes)], SHAPES)
    assert contents(one.all()) == contents(other.all())
    assert contents(one.first(5)) == contents(other.first(5))


@given(orders, cuts, st.sampled_from([*CALIBRATORS, Best()]))
@settings(max_examples=8, deadline=None)
def test_the_plan_and_every_integer_are_those_of_the_samples_alone(
    order: list[int], sizes: list[int], calibrator: Calibrator
) -> None:
    one = quantized(calibrator, (PICTURES,))
    other = quantized(calibrator, tuple(batches(PICTURES[order], sizes)))
    assert str(one.plan) == str(other.plan)
    assert str(one.program) == str(other.program)
    for name, constant in one.program.graph.constants.items():
        assert torch.equal(constant, other.program.graph.constants[name])


def test_the_first_samples_are_a_part_of_all_and_not_the_loaders_first() -> None:
    found = Samples([(PICTURES,)], SHAPES)
    (first,) = [x for (x,) in found.first(6)]
    (every,) = [x for (x,) in found.all()]
    assert torch.equal(first, every[:6])
    assert not torch.equal(first, PICTURES[:6])
    assert len(found) == 24


def test_batches_are_small_where_samples_are_large() -> None:
    sizes = [len(x) for (x,) in Samples([(torch.rand(2 * MOST, 1, 2, 2),)], SHAPES).all()]
    assert sizes == [MOST, MOST]
    side = int((NUMBERS / 3 / 2) ** 0.5)
    sizes = [len(x) for (x,) in Samples([(torch.rand(3, 3, side, side),)], SHAPES).all()]
    assert sizes == [2, 1]


def test_images_of_different_sizes_go_into_different_batches() -> None:
    given = [(images(3),), (images(2, size=9),), (images(1, seed=3),)]
    found = Samples(given, SHAPES)
    assert sorted(x.shape for (x,) in found.all()) == [(2, 3, 9, 9), (4, 3, 8, 8)]
    again = Samples(given[::-1], SHAPES)
    assert contents(found.all()) == contents(again.all())


def test_the_inputs_of_a_sample_stay_together() -> None:
    x, y = images(9), torch.arange(9.0)
    shuffled = torch.randperm(9, generator=torch.Generator().manual_seed(0))
    found = Samples([(x[shuffled], y[shuffled])], [("N", 3, "H", "W"), ("N",)])
    ((xs, ys),) = found.all()
    assert torch.equal(xs, x[ys.long()])


def test_an_input_without_samples_stays_with_those_that_it_came_with() -> None:
    one, other = torch.ones(2, 2), torch.zeros(2, 2)
    found = Samples([(images(3), one), (images(2, seed=1), other)], [("N", 3, 8, 8), (2, 2)])
    assert sorted((len(x), y.sum().item()) for x, y in found.all()) == [(2, 0.0), (3, 4.0)]


def test_where_no_size_is_free_batches_are_the_samples() -> None:
    given = [(images(4, seed=seed),) for seed in range(3)]
    found = Samples(given, [(4, 3, 8, 8)])
    assert len(found) == 12
    assert [len(x) for (x,) in found.all()] == [4, 4, 4]
    assert contents(found.all()) == contents(Samples(given[::-1], [(4, 3, 8, 8)]).all())


def test_a_loader_may_overwrite_what_it_has_yielded() -> None:
    def loader() -> Iterator[tuple[Tensor]]:
        x = torch.empty(1, 3, 8, 8)
        for picture in PICTURES:
            x.copy_(picture)
            yield (x,)

    found = Samples(loader(), SHAPES)
    assert contents(found.all()) == contents(Samples([(PICTURES,)], SHAPES).all())


def test_samples_beyond_a_bound_are_kept_in_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = contents(Samples([(PICTURES,)], SHAPES).all())
    monkeypatch.setattr(samples, "IN_MEMORY", PICTURES[0].nbytes * 5)
    found = Samples([(x,) for x in batches(PICTURES, [2, 3])], SHAPES)
    assert contents(found.all()) == expected


def test_a_full_disk_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def close(self) -> None:
            pass

        def tell(self) -> int:
            return 0

        def write(self, data: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(samples, "IN_MEMORY", 0)
    monkeypatch.setattr(tempfile, "TemporaryFile", Full)
    with pytest.raises(CalibrationError, match=r"No space left on device; calibrate with fewer"):
        Samples([(PICTURES,)], SHAPES)


@pytest.mark.parametrize("wrong", ["512", True, 1.5, None, torch.tensor(3)])
def test_what_is_no_number_of_samples_is_named(wrong: Any) -> None:
    with pytest.raises(CalibrationError, match=r"is no number of samples; use a whole number"):
        zp.quantize(MODEL, [PICTURES], samples=wrong)


def test_numpy_counts_too() -> None:
    assert whole_number(np.int64(3), "this") == 3
    with pytest.raises(CalibrationError, match="samples=0; this needs at least one"):
        whole_number(np.int64(0), "this")
