"""torchao's PT2E quantization for x86: the recipe of its tutorial, in eager mode as there."""

import copy

import torch
from torch import Tensor, nn

from studies.low_bits.network import Block


def prepare(model: nn.Module, calibration: list[Tensor]) -> nn.Module:
    """The model exported and prepared by `prepare_qat_pt2e`, for one batch size.

    Its quantizer refuses a module that is called twice ("Input partition has more than one output
    node"), as the ReLU of a residual block is; here each block has two.
    """
    import torchao.quantization.pt2e.quantizer.x86_inductor_quantizer as x86
    from torchao.quantization.pt2e import move_exported_model_to_train
    from torchao.quantization.pt2e.quantize_pt2e import prepare_qat_pt2e

    quantizer = x86.X86InductorQuantizer()
    quantizer.set_global(x86.get_default_x86_inductor_quantization_config(is_qat=True))
    exported = torch.export.export(with_two_relus(model).train(), (calibration[0],)).module()
    prepared: nn.Module = prepare_qat_pt2e(exported, quantizer)
    move_exported_model_to_train(prepared)
    with torch.no_grad():
        for batch in calibration:
            prepared(batch)
    return prepared


class BlockWithTwoReLUs(nn.Module):
    """The same block, no module of which is called twice."""

    def __init__(self, block: Block) -> None:
        super().__init__()
        self.conv1, self.bn1, self.relu1 = block.conv1, block.bn1, nn.ReLU()
        self.conv2, self.bn2, self.relu2 = block.conv2, block.bn2, nn.ReLU()
        self.downsample = block.downsample

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu1(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        result: Tensor = self.relu2(y + self.downsample(x))
        return result


def with_two_relus(model: nn.Module) -> nn.Module:
    """A copy of the model in which each block has two."""
    model = copy.deepcopy(model)
    blocks = [(name, block) for name, block in model.named_modules() if isinstance(block, Block)]
    for name, block in blocks:
        parent, _, own = name.rpartition(".")
        setattr(model.get_submodule(parent), own, BlockWithTwoReLUs(block))
    return model
