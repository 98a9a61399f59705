"""torchao's PT2E quantization for x86, lowered by Inductor: the recipe of its tutorial."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from benchmarks.images import in_batches
from benchmarks.peers.peer import Runner
from benchmarks.peers.torch_compile import frozen


def prepare(
    model: nn.Module, calibration: list[Tensor], *, example: Tensor, threads: int
) -> Runner:
    """The model exported, quantized and compiled, for the example's batch size only.

    The recipe asks for a fixed batch size: with a free one the int8 patterns do not match.
    """
    del threads
    import torchao.quantization.pt2e.quantizer.x86_inductor_quantizer as x86
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    quantizer = x86.X86InductorQuantizer()
    quantizer.set_global(x86.get_default_x86_inductor_quantization_config())
    with torch.no_grad():
        observed = prepare_pt2e(torch.export.export(model, (example,)).module(), quantizer)
        for batch in in_batches(calibration, len(example)):
            observed(batch)
        converted = convert_pt2e(observed)
    compiled: Callable[[Tensor], Tensor] = torch.compile(converted, dynamic=False)

    def run(x: Tensor) -> Tensor:
        with torch.no_grad():
            return compiled(x)

    with frozen():
        run(example)
    return run
