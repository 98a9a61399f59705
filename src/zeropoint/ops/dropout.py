"""Dropout: nothing at inference. It is captured for training, and removed from every program."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from zeropoint.graph.build import Builder
from zeropoint.graph.op import Op
from zeropoint.graph.value import Shape, Value


@dataclass(frozen=True)
class Dropout(Op):
    """x of any shape; drops with probability `p` in training, whole channels if `channels`."""

    name: ClassVar[str] = "dropout"

    p: float
    channels: bool = False

    def run(self, x: Tensor) -> Tensor:
        """The float form, which is inference's."""
        return x


def dropout(to: Builder, shape: Shape, x: Value, p: float, train: bool) -> Value | str:
    """Capture of dropout."""
    return _captured(to, shape, x, Dropout(p), train)


def feature_dropout(to: Builder, shape: Shape, x: Value, p: float, train: bool) -> Value | str:
    """Capture of dropout of whole channels."""
    return _captured(to, shape, x, Dropout(p, channels=True), train)


def _captured(to: Builder, shape: Shape, x: Value, op: Dropout, train: bool) -> Value | str:
    if train and op.p > 0:
        return "it drops at random even in eval mode"
    return to.emit(op, x, shape=shape, type=x.type) if op.p > 0 else x


OPS = (Dropout,)
CAPTURES = {
    "aten.dropout.default": dropout,
    "aten.alpha_dropout.default": dropout,
    "aten.feature_dropout.default": feature_dropout,
}
