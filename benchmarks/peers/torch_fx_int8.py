"""PyTorch's FX graph mode quantization, which is deprecated but still ships in torch 2.13."""

import torch
from torch import Tensor, nn

from benchmarks.peers.peer import Runner
from benchmarks.peers.torch_channels_last import in_channels_last

ENGINE = "onednn"


def prepare(
    model: nn.Module, calibration: list[Tensor], *, example: Tensor, threads: int
) -> Runner:
    """The model quantized by `prepare_fx` and `convert_fx` with the onednn engine's defaults."""
    del threads
    from torch.ao.quantization import get_default_qconfig_mapping
    from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx

    torch.backends.quantized.engine = ENGINE
    observed = prepare_fx(in_channels_last(model), get_default_qconfig_mapping(ENGINE), (example,))
    with torch.no_grad():
        for batch in calibration:
            observed(batch)
    quantized = convert_fx(observed)

    def run(x: Tensor) -> Tensor:
        with torch.inference_mode():
            logits: Tensor = quantized(x.contiguous(memory_format=torch.channels_last))
            return logits

    return run
