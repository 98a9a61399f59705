"""Weights that swing between two codes are frozen on the one where they mostly are.

Nagel et al. 2022 ("Overcoming oscillations in quantization-aware training"), algorithm 1:

    o = the code changed, and in the other direction than at its last change
    f = m o + (1 - m) f             the frequency of oscillations
    i = m code + (1 - m) i          the mean code
    f > threshold                   =>    the weight is s round(i) from here on

It matters for depthwise layers at few bits.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from zeropoint.arithmetic.qparams import broadcast, quantize
from zeropoint.train.module import QuantizationAware


@dataclass
class _Watch:
    """Of one weight, elementwise."""

    codes: Tensor
    direction: Tensor
    frequency: Tensor
    mean_code: Tensor
    frozen: Tensor


class OscillationFreezing:
    """Call it after every optimizer step; it edits weights in place.

    `threshold` is the frequency above which a weight is frozen: the paper lets it fall from 0.04 to
    0.01 along a cosine, by setting it between calls.
    """

    def __init__(
        self, qat: QuantizationAware, *, threshold: float = 0.02, momentum: float = 0.01
    ) -> None:
        self.threshold = threshold
        self._qat, self._momentum = qat, momentum
        self._watches: dict[str, _Watch] = {}

    def __call__(self) -> int:
        """How many weights are frozen by now."""
        return sum(self._look(name) for name in self._qat.weight_quantizers())

    def _look(self, name: str) -> int:
        weight, params = self._qat.weight_and_grid(name)
        codes = quantize(weight.detach(), params).to(torch.float32)
        watch = self._watches.get(name)
        if watch is None:
            zeros = torch.zeros_like(codes)
            self._watches[name] = _Watch(codes, zeros, zeros.clone(), codes.clone(), zeros.bool())
            return 0
        direction = (codes - watch.codes).sign()
        turned = direction * watch.direction < 0
        watch.frequency.lerp_(turned.to(torch.float32), self._momentum)
        watch.mean_code.lerp_(codes, self._momentum)
        watch.direction = torch.where(direction == 0, watch.direction, direction)
        watch.codes = codes
        watch.frozen |= watch.frequency > self.threshold
        scale = broadcast(params.scale, weight.ndim, params.axis)
        held = watch.mean_code.round() * scale
        with torch.no_grad():
            weight.copy_(torch.where(watch.frozen, held, weight))
        return int(watch.frozen.sum())
