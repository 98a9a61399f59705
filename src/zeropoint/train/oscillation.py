"""Weights that swing between two codes are frozen on the one where they mostly are.

Nagel et al. 2022 ("Overcoming oscillations in quantization-aware training"), algorithm 1:

    o = the code changed, and in the other direction than at its last change
    f = m o + (1 - m) f             the frequency of oscillations
    i = m code + (1 - m) i          the mean code
    f > threshold                   =>    the weight is s round(i) from here on

It matters for depthwise layers at few bits.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from zeropoint.arithmetic.integer import IntegerType
from zeropoint.arithmetic.qparams import QParams, dequantize, quantize
from zeropoint.train.module import QuantizationAware


@dataclass
class _Watch:
    """Of one weight, elementwise; codes of other types are others."""

    type: IntegerType
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
        params = _on(weight.device, params)
        codes = quantize(weight.detach(), params).to(torch.float32)
        watch = self._watches.get(name)
        if watch is None or watch.type != params.type:
            self._watches[name] = _begun(params.type, codes)
            return 0
        direction = (codes - watch.codes).sign()
        turned = direction * watch.direction < 0
        watch.frequency.lerp_(turned.to(torch.float32), self._momentum)
        watch.mean_code.lerp_(codes, self._momentum)
        watch.direction = torch.where(direction == 0, watch.direction, direction)
        watch.codes = codes
        watch.frozen |= watch.frequency > self.threshold
        held = dequantize(watch.mean_code.round(), params).to(weight.dtype)
        with torch.no_grad():
            weight.copy_(torch.where(watch.frozen, held, weight))
        return int(watch.frozen.sum())


def _begun(type: IntegerType, codes: Tensor) -> _Watch:
    zeros = torch.zeros_like(codes)
    return _Watch(type, codes, zeros, zeros.clone(), codes.clone(), zeros.bool())


def _on(device: torch.device, params: QParams) -> QParams:
    scale, zero_point = params.scale.to(device), params.zero_point.to(device)
    return replace(params, scale=scale, zero_point=zero_point)
