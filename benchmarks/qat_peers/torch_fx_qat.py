"""PyTorch's FX graph mode, which is deprecated but still ships in torch 2.13."""

import copy

import torch
from torch import Tensor, nn

ENGINE = "x86"


def prepare(model: nn.Module, calibration: list[Tensor]) -> nn.Module:
    """The model by `prepare_qat_fx` with the engine's defaults; its observers never stop.

    Its fused fake quantization knows no bfloat16.
    """
    from torch.ao.quantization import get_default_qat_qconfig_mapping
    from torch.ao.quantization.quantize_fx import prepare_qat_fx

    mapping = get_default_qat_qconfig_mapping(ENGINE)
    prepared: nn.Module = prepare_qat_fx(copy.deepcopy(model).train(), mapping, (calibration[0],))
    with torch.no_grad():
        for batch in calibration:
            prepared(batch)
    return prepared
