"""zeropoint, as its documentation says."""

from torch import Tensor, nn


def prepare(
    model: nn.Module,
    calibration: list[Tensor],
    *,
    moving: bool = False,
    folded: bool = False,
) -> nn.Module:
    """`zp.prepare_qat(model, calibration)`: learned steps, live batch norms.

    `moving`: moving ranges of activations and current ranges of weights; `folded`: batch norms
    folded before training.
    """
    from zeropoint import train

    return train.prepare_qat(
        model,
        calibration,
        weights=train.CurrentRange() if moving else train.LearnedStep(),
        activations=train.MovingRange() if moving else train.LearnedStep(),
        batch_norm=train.Folded() if folded else train.Live(),
    ).train()
