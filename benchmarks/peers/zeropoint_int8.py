"""zeropoint, as its README says."""

from torch import Tensor, nn

from benchmarks.peers.peer import Runner


def prepare(
    model: nn.Module, calibration: list[Tensor], *, example: Tensor, threads: int
) -> Runner:
    """`zp.quantize(model, calibration, engine="onednn")`: the same object for every batch size."""
    del example, threads
    import zeropoint as zp

    quantized = zp.quantize(model, calibration, engine="onednn")

    def run(x: Tensor) -> Tensor:
        logits: Tensor = quantized(x)
        return logits

    return run
