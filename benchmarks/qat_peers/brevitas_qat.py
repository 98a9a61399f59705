"""Brevitas, by its own graph transformation: 8 bits, a scale for each channel of a weight.

Scales of activations are parameters after calibration. BREVITAS_JIT=1 was no faster here.
"""

import copy

import torch
from torch import Tensor, nn


def prepare(model: nn.Module, calibration: list[Tensor], *, folded: bool = False) -> nn.Module:
    """The model by `preprocess_for_quantize` and `quantize`, calibrated.

    `folded`: batch norms folded before training, as its own recipes do; else they stay behind
    their convolutions.
    """
    from brevitas.graph.calibrate import calibration_mode
    from brevitas.graph.quantize import COMPUTE_LAYER_MAP, preprocess_for_quantize, quantize
    from brevitas.quant import Int8WeightPerChannelFloat

    by_channel = {"weight_quant": Int8WeightPerChannelFloat}
    layers = {
        kind: (COMPUTE_LAYER_MAP[kind][0], {**COMPUTE_LAYER_MAP[kind][1], **by_channel})
        for kind in (nn.Conv2d, nn.Linear)
    }
    traced = preprocess_for_quantize(copy.deepcopy(model).eval(), merge_bn=folded)
    prepared: nn.Module = quantize(traced, compute_layer_map={**COMPUTE_LAYER_MAP, **layers})
    with torch.no_grad(), calibration_mode(prepared):
        for batch in calibration:
            prepared(batch)
    return prepared.train()
