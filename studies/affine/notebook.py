"""The notebook's code and what it printed: document 001, mistakes included. Names are spelled out.

The numbers in brackets are the notebook's cells.
"""

import torch
from torch import Tensor, nn

PRINTED = torch.tensor(
    [
        [-2.2066, 0.3966, 0.5587, 1.1892],
        [0.3932, 1.6257, -0.6623, -0.0903],
        [-0.8323, -0.0078, 1.2867, -0.1683],
        [3.2285, 1.6256, 0.6275, -1.0032],
    ]
)
"""[2] The tensor to the four digits that were printed; what was computed with had seven."""

COMPLETED = PRINTED.clone()
"""A tensor that prints like it and gives every printed digit: its extremes have a fifth digit."""
COMPLETED[0, 0], COMPLETED[3, 0] = -2.20656, 3.22853

ASYMMETRIC_CODES = """
      0.0000 122.5259 129.5259 159.5259 121.5259 179.5259  72.5259  99.5259
     64.5259 103.5259 163.5259  95.5259 254.5259 179.5259 132.5259  56.5259
"""  # [5]
ASYMMETRIC_VALUES = """
     -2.2066   0.4050   0.5542   1.1936   0.3837   1.6199  -0.6607  -0.0853
     -0.8312   0.0000   1.2788  -0.1705   3.2184   1.6199   0.6181  -1.0018
"""  # [6]
SYMMETRIC_CODES = """
    -104. 19. 26. 56. 18. 76. -31. -4. -39. 0. 60. -8. 127. 76. 29. -47.
"""  # [10]
SYMMETRIC_VALUES = """
     -2.2167   0.4050   0.5542   1.1936   0.3837   1.6199  -0.6607  -0.0853
     -0.8312   0.0000   1.2788  -0.1705   2.7069   1.6199   0.6181  -1.0018
"""  # [11]


def quantize(x: Tensor, bits: int) -> tuple[Tensor, Tensor, Tensor]:
    """[3] Codes, scale and a zero point that is not rounded."""
    low, high = 0, 2**bits - 1
    scale = (x.max() - x.min()) / (high - low)
    zero_point = low - x.min() / scale
    codes = torch.round(x / scale) + zero_point
    return torch.clamp(codes, low, high), scale, zero_point


def dequantize(codes: Tensor, scale: Tensor, zero_point: Tensor) -> Tensor:
    """[3] The real numbers that the codes stand for."""
    return (codes - zero_point) * scale


class Quantizer:
    """[15] One scale and one zero point, those of whatever was quantized last."""

    def __init__(self, bits: int) -> None:
        self.bits = bits
        self.scale = torch.tensor(1.0)
        self.zero_point = 0

    def quantize_model(self, model: nn.Module) -> None:
        """Every layer's weight and bias become their codes."""
        for layer in list(model.modules())[1:]:
            assert isinstance(layer, nn.Conv2d | nn.Linear)
            weight, bias = self.quantize_layer(layer)
            layer.weight.data = weight
            assert layer.bias is not None
            layer.bias.data = bias

    def quantize_layer(self, layer: nn.Conv2d | nn.Linear) -> tuple[Tensor, Tensor]:
        assert layer.bias is not None
        weight = self.quantize(layer.weight.data, "asymmetric")
        bias = self.quantize(layer.bias.data, "asymmetric")
        return weight, bias

    def quantize(self, x: Tensor, mode: str) -> Tensor:
        levels = 2**self.bits
        if mode == "asymmetric":
            low, high = 0, levels - 1
            self.scale, self.zero_point = self.parameters(x, low, high)
        else:
            low, high = -levels // 2, levels // 2 - 1
            self.scale, _ = self.parameters(x, low, high)
            self.zero_point = 0
        codes = torch.round(x / self.scale) + self.zero_point
        return torch.clamp(codes, low, high)

    def parameters(self, x: Tensor, low: int, high: int) -> tuple[Tensor, int]:
        scale = (x.max() - x.min()) / (high - low)
        zero_point = low - x.min() / scale
        return scale, int(zero_point.clamp(low, high))

    def dequantize(self, codes: Tensor) -> Tensor:
        return (codes - self.zero_point) * self.scale


class Net(nn.Module):
    """[12] LeNet on (N, 3, 28, 28), which the notebook quantizes untrained."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 20, 5, 1)
        self.conv2 = nn.Conv2d(20, 50, 5, 1)
        self.fc1 = nn.Linear(4 * 4 * 50, 500)
        self.fc2 = nn.Linear(500, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.max_pool2d(nn.functional.relu(self.conv1(x)), 2, 2)
        x = nn.functional.max_pool2d(nn.functional.relu(self.conv2(x)), 2, 2)
        x = x.view(-1, 4 * 4 * 50)
        logits: Tensor = self.fc2(nn.functional.relu(self.fc1(x)))
        return logits


def fold(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """[197] The folded weight and bias. This is right, for a convolution with a bias."""
    assert convolution.bias is not None
    assert norm.running_mean is not None
    assert norm.running_var is not None
    deviation = torch.sqrt(norm.running_var + norm.eps)
    weight = convolution.weight * (norm.weight / deviation).view(-1, 1, 1, 1)
    bias = norm.weight * ((convolution.bias - norm.running_mean) / deviation) + norm.bias
    return weight, bias


def fuse(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> nn.Conv2d:
    """[224] One layer in place of two, with the weights from before the folding."""
    fold(convolution, norm)  # computed, and not used
    fused = bare_copy(convolution)
    fused.weight = nn.Parameter(convolution.weight)
    fused.bias = convolution.bias
    return fused


def bare_copy(convolution: nn.Conv2d) -> nn.Conv2d:
    """[224] A new layer of these sizes; dilation and groups are left out."""
    size = (convolution.kernel_size[0], convolution.kernel_size[1])
    stride = (convolution.stride[0], convolution.stride[1])
    padding = convolution.padding
    assert not isinstance(padding, str)
    return nn.Conv2d(
        convolution.in_channels,
        convolution.out_channels,
        size,
        stride,
        (padding[0], padding[1]),
        bias=True,
    )
