"""Sums that one can do in one's head."""

import pytest
import torch
from torch import Tensor

from zeropoint.arithmetic.integer import IntegerType
from zeropoint.arithmetic.qparams import per_tensor
from zeropoint.observe.observation import Observation
from zeropoint.report.analysis.tally import PAIRS, SAMPLE, Stages, Tally

GRID = per_tensor(1.0, 0, IntegerType(2, signed=False))
"""0, 1, 2 and 3."""


def row(*numbers: float) -> Tensor:
    return torch.tensor([numbers])


STAGES = Stages(
    real=row(1.0, 0.0, 4.0),
    read=row(1.5, 0.0, 4.0),
    weighted=row(1.5, 0.0, 6.0),
    biased=row(1.25, 0.0, 6.0),
    clamped=row(1.25, 0.0, 3.0),
    narrowed=row(1.0, 0.0, 3.0),
)


def test_each_part_is_what_one_stage_changes() -> None:
    tally = Tally(GRID, 1, Observation())
    tally.add(STAGES)
    assert tally.signal == 17.0
    assert tally.inherited == 0.25
    assert tally.weight == 4.0
    assert tally.bias == 0.0625
    assert tally.clipping == 9.0
    assert tally.rounding == 0.0625
    assert tally.own == 0.25 + 1.0
    assert tally.total == 1.0


def test_batches_add_up() -> None:
    tally = Tally(GRID, 1, Observation())
    tally.add(STAGES)
    tally.add(STAGES)
    assert (tally.elements, tally.signal, tally.clipping) == (6, 34.0, 18.0)
    assert tally.saturated == 2
    assert tally.codes is not None
    assert tally.codes.tolist() == [2, 2, 0, 2]
    assert tally.maxima is not None
    assert tally.maxima.tolist() == [1.0, 0.0, 4.0]
    assert tally.weight_channels is not None
    assert tally.weight_channels.tolist() == [0.0, 0.0, 8.0]


def test_less_than_half_a_step_beyond_the_grid_is_no_saturation() -> None:
    x = row(3.4, 3.6)
    tally = Tally(GRID, 1, Observation())
    tally.add(Stages(x, x, x, x, x.clamp(max=3), row(3.0, 3.0)))
    assert tally.saturated == 1
    assert tally.clipping == pytest.approx(0.16 + 0.36)


def test_an_accumulator_has_no_codes() -> None:
    x = row(1.0, 2.0)
    tally = Tally(None, 1, Observation())
    tally.add(Stages(x, x, x, x, x, x))
    assert (tally.codes, tally.saturated, tally.own, tally.total) == (None, 0, 0.0, 0.0)


def test_samples_meet_every_channel_and_column() -> None:
    x = torch.arange(64).float().reshape(1, 64, 1, 1).expand(8, 64, 32, 32)
    tally = Tally(None, 1, Observation())
    tally.add(Stages(x, x, x, x, x, x))
    assert 0.9 * SAMPLE < len(tally.samples[0]) <= SAMPLE
    assert set(tally.samples[0].tolist()) == set(range(64))
    assert tally.pairs is not None
    assert tally.pairs.shape == (PAIRS, 2)


def test_pairs_are_of_the_first_batch() -> None:
    tally = Tally(GRID, 1, Observation())
    tally.add(STAGES)
    tally.add(STAGES)
    assert tally.pairs is not None
    assert tally.pairs.tolist() == [[1.0, 1.0], [0.0, 0.0], [4.0, 3.0]]
