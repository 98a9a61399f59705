"""Quantization-aware training: Graph, Plan -> nn.Module -> Graph, Plan."""

from zeropoint.train.batch_norm import Folded, Live, Unfolded
from zeropoint.train.current_range import CurrentRange
from zeropoint.train.distillation import distillation_loss
from zeropoint.train.learned_step import LearnedStep
from zeropoint.train.module import QuantizationAware
from zeropoint.train.moving_range import MovingRange
from zeropoint.train.oscillation import OscillationFreezing
from zeropoint.train.prepare import convert, prepare_qat
from zeropoint.train.schedule import (
    freeze_batch_norm,
    freeze_ranges,
    narrow,
    reestimate_batch_norm,
)

__all__ = [
    "CurrentRange",
    "Folded",
    "LearnedStep",
    "Live",
    "MovingRange",
    "OscillationFreezing",
    "QuantizationAware",
    "Unfolded",
    "convert",
    "distillation_loss",
    "freeze_batch_norm",
    "freeze_ranges",
    "narrow",
    "prepare_qat",
    "reestimate_batch_norm",
]
