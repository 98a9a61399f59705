"""Detectors: YOLO, SSD, CenterNet, RetinaNet. The outputs are the raw maps of every head."""

import itertools
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from zoo.network import Network, Task
from zoo.networks.blocks import LEAKY, conv_bn, separable
from zoo.networks.mobile import InvertedResidual
from zoo.networks.resnet import WIDTHS, Basic

CLASSES = 20
ANCHORS = 3

silu = partial(conv_bn, act=nn.SiLU)


class Focus(nn.Module):
    """Every second pixel into a channel of its own: four slices, concatenated."""

    def __init__(self, entering: int, leaving: int) -> None:
        super().__init__()
        self.conv = silu(4 * entering, leaving)

    def forward(self, x: Tensor) -> Tensor:
        slices = [x[..., ::2, ::2], x[..., 1::2, ::2], x[..., ::2, 1::2], x[..., 1::2, 1::2]]
        y: Tensor = self.conv(torch.cat(slices, 1))
        return y


class YoloBottleneck(nn.Module):
    def __init__(self, width: int, *, add: bool) -> None:
        super().__init__()
        self.conv1, self.conv2 = silu(width, width, 1), silu(width, width)
        self.add = add

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv2(self.conv1(x))
        return x + y if self.add else y


class C3(nn.Module):
    def __init__(self, entering: int, leaving: int, depth: int, *, add: bool = True) -> None:
        super().__init__()
        half = leaving // 2
        self.conv1, self.conv2 = silu(entering, half, 1), silu(entering, half, 1)
        self.conv3 = silu(2 * half, leaving, 1)
        self.blocks = nn.Sequential(*(YoloBottleneck(half, add=add) for _ in range(depth)))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv3(torch.cat((self.blocks(self.conv1(x)), self.conv2(x)), 1))
        return y


class SPPF(nn.Module):
    """The same maximum pool three times over, all four maps concatenated."""

    def __init__(self, width: int) -> None:
        super().__init__()
        half = width // 2
        self.conv1, self.conv2 = silu(width, half, 1), silu(4 * half, width, 1)
        self.pool = nn.MaxPool2d(5, 1, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x)
        y1 = self.pool(x)
        y2 = self.pool(y1)
        y: Tensor = self.conv2(torch.cat((x, y1, y2, self.pool(y2)), 1))
        return y


class Yolo5(nn.Module):
    """YOLOv5-n (Jocher 2020) as of version 5: focus, C3, SPPF, a path up and down, three heads."""

    def __init__(self, width: int = 16, *, decoded: bool = False) -> None:
        super().__init__()
        w, self.decoded = width, decoded
        self.stem = nn.Sequential(Focus(3, w), silu(w, 2 * w, 3, 2), C3(2 * w, 2 * w, 1))
        self.stage3 = nn.Sequential(silu(2 * w, 4 * w, 3, 2), C3(4 * w, 4 * w, 2))
        self.stage4 = nn.Sequential(silu(4 * w, 8 * w, 3, 2), C3(8 * w, 8 * w, 3))
        self.stage5 = nn.Sequential(silu(8 * w, 16 * w, 3, 2), C3(16 * w, 16 * w, 1), SPPF(16 * w))
        self.lateral5, self.lateral4 = silu(16 * w, 8 * w, 1), silu(8 * w, 4 * w, 1)
        self.up4 = C3(16 * w, 8 * w, 1, add=False)
        self.up3 = C3(8 * w, 4 * w, 1, add=False)
        self.down3, self.down4 = silu(4 * w, 4 * w, 3, 2), silu(8 * w, 8 * w, 3, 2)
        self.out4 = C3(8 * w, 8 * w, 1, add=False)
        self.out5 = C3(16 * w, 16 * w, 1, add=False)
        self.upsample = nn.Upsample(scale_factor=2, mode="nearest")
        self.heads = nn.ModuleList(
            nn.Conv2d(scale * w, ANCHORS * (CLASSES + 5), 1) for scale in (4, 8, 16)
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        p3 = self.stage3(self.stem(x))
        p4 = self.stage4(p3)
        p5 = self.lateral5(self.stage5(p4))
        t4 = self.lateral4(self.up4(torch.cat([self.upsample(p5), p4], 1)))
        n3 = self.up3(torch.cat([self.upsample(t4), p3], 1))
        n4 = self.out4(torch.cat([self.down3(n3), t4], 1))
        n5 = self.out5(torch.cat([self.down4(n4), p5], 1))
        maps = [head(n) for head, n in zip(self.heads, (n3, n4, n5), strict=True)]
        return [decode(y) for y in maps] if self.decoded else maps


def decode(y: Tensor) -> Tensor:
    """(N, anchors (classes + 5), H, W) -> (N, anchors, H, W, classes + 5), sizes and scores."""
    n, _, h, w = y.shape
    y = y.view(n, ANCHORS, CLASSES + 5, h, w).permute(0, 1, 3, 4, 2).contiguous().sigmoid()
    centres, sizes, scores = torch.split(y, [2, 2, CLASSES + 1], 4)
    return torch.cat((centres * 2 - 0.5, (sizes * 2) ** 2, scores), 4)


class Yolo3Tiny(nn.Module):
    """Redmon & Farhadi 2018: leaky ReLU, pools, one upsampling, two heads."""

    def __init__(self) -> None:
        super().__init__()
        leaky = partial(conv_bn, act=LEAKY)
        layers: list[nn.Module] = []
        entering = 3
        for width in (16, 32, 64, 128):
            layers += [leaky(entering, width), nn.MaxPool2d(2)]
            entering = width
        self.first = nn.Sequential(*layers, leaky(128, 256))
        self.second = nn.Sequential(
            nn.MaxPool2d(2), leaky(256, 512),
            nn.ZeroPad2d((0, 1, 0, 1)), nn.MaxPool2d(2, 1),
            leaky(512, 512), leaky(512, 256, 1),
        )  # fmt: skip
        outputs = ANCHORS * (CLASSES + 5)
        self.head1 = nn.Sequential(leaky(256, 512), nn.Conv2d(512, outputs, 1))
        self.lateral = leaky(256, 128, 1)
        self.head2 = nn.Sequential(leaky(384, 256), nn.Conv2d(256, outputs, 1))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        fine = self.first(x)
        coarse = self.second(fine)
        up = functional.interpolate(self.lateral(coarse), scale_factor=2, mode="nearest")
        return self.head1(coarse), self.head2(torch.cat([up, fine], 1))


class SSDLite(nn.Module):
    """SSD with separable heads on MobileNetV2 (Sandler et al. 2018): boxes and scores."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [conv_bn(3, 32, 3, 2, act=nn.ReLU6)]
        entering = 32
        plan = ((1, 16, 1), (6, 24, 2), (6, 24, 1), (6, 32, 2), (6, 32, 1), (6, 64, 2), (6, 96, 1))
        for expansion, leaving, stride in plan:
            hidden = expansion * entering
            layers.append(
                InvertedResidual(entering, hidden, leaving, kernel=3, stride=stride, act=nn.ReLU6)
            )
            entering = leaving
        self.features = nn.Sequential(*layers)
        widths = (96, 256, 256, 128)
        self.extra = nn.ModuleList(
            separable(a, b, 2, act=nn.ReLU6) for a, b in itertools.pairwise(widths)
        )
        self.boxes = nn.ModuleList(head(width, 6 * 4) for width in widths)
        self.scores = nn.ModuleList(head(width, 6 * (CLASSES + 1)) for width in widths)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        maps = [self.features(x)]
        for stage in self.extra:
            maps.append(stage(maps[-1]))
        boxes = [flat(head(y), 4) for head, y in zip(self.boxes, maps, strict=True)]
        scores = [flat(head(y), CLASSES + 1) for head, y in zip(self.scores, maps, strict=True)]
        return {"boxes": torch.cat(boxes, 1), "scores": torch.cat(scores, 1)}


def head(entering: int, leaving: int) -> nn.Module:
    depthwise = conv_bn(entering, entering, 3, groups=entering, act=nn.ReLU6)
    return nn.Sequential(depthwise, nn.Conv2d(entering, leaving, 1))


def flat(y: Tensor, last: int) -> Tensor:
    """(N, anchors last, H, W) -> (N, H W anchors, last)."""
    return y.permute(0, 2, 3, 1).reshape(y.shape[0], -1, last)


class ResNetMaps(nn.Module):
    """ResNet-18 without its head: the maps of its last three stages."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(conv_bn(3, 64, 7, 2), nn.MaxPool2d(3, 2, 1))
        self.stages = nn.ModuleList()
        entering = 64
        for stage, width in enumerate(WIDTHS):
            first = Basic(entering, width, 2 if stage else 1)
            self.stages.append(nn.Sequential(first, Basic(width, width, 1)))
            entering = width

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = [self.stem(x)]
        for stage in self.stages:
            maps.append(stage(maps[-1]))
        return maps[2:]


class CenterNet(nn.Module):
    """Zhou et al. 2019: three transposed convolutions, then heat map, size and offset."""

    def __init__(self) -> None:
        super().__init__()
        self.maps = ResNetMaps()
        layers: list[nn.Module] = []
        entering = 512
        for width in (256, 128, 64):
            layers += [
                nn.ConvTranspose2d(entering, width, 4, 2, 1, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(inplace=True),
            ]
            entering = width
        self.up = nn.Sequential(*layers)
        self.heads = nn.ModuleDict(
            {
                name: nn.Sequential(nn.Conv2d(64, 64, 3, padding=1), nn.ReLU(), nn.Conv2d(64, n, 1))
                for name, n in (("heat", CLASSES), ("size", 2), ("offset", 2))
            }
        )

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        y = self.up(self.maps(x)[-1])
        outputs = {name: head(y) for name, head in self.heads.items()}
        outputs["heat"] = torch.sigmoid(outputs["heat"])
        return outputs


class RetinaNet(nn.Module):
    """Lin et al. 2017: a feature pyramid, and one pair of heads that all levels share."""

    def __init__(self, width: int = 128) -> None:
        super().__init__()
        self.maps = ResNetMaps()
        self.lateral = nn.ModuleList(nn.Conv2d(w, width, 1) for w in WIDTHS[1:])
        self.smooth = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in WIDTHS[1:])
        self.p6 = nn.Conv2d(WIDTHS[-1], width, 3, 2, 1)
        self.p7 = nn.Conv2d(width, width, 3, 2, 1)
        self.classes = tower(width, 9 * CLASSES)
        self.boxes = tower(width, 9 * 4)

    def forward(self, x: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        maps = self.maps(x)
        levels = [lateral(y) for lateral, y in zip(self.lateral, maps, strict=True)]
        for fine in (1, 0):
            up = functional.interpolate(levels[fine + 1], size=levels[fine].shape[-2:])
            levels[fine] = levels[fine] + up
        levels = [smooth(y) for smooth, y in zip(self.smooth, levels, strict=True)]
        p6 = self.p6(maps[-1])
        levels += [p6, self.p7(functional.relu(p6))]
        return [self.classes(y) for y in levels], [self.boxes(y) for y in levels]


def tower(width: int, leaving: int, depth: int = 2) -> nn.Module:
    layers: list[nn.Module] = []
    for _ in range(depth):
        layers += [nn.Conv2d(width, width, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, nn.Conv2d(width, leaving, 3, padding=1))


class OneGlass(nn.Module):
    """An hourglass (Newell et al. 2016): down three times, up three times, sums across."""

    def __init__(self, width: int = 64, depth: int = 3) -> None:
        super().__init__()
        self.depth = depth
        self.skips = nn.ModuleList(Basic(width, width, 1) for _ in range(depth))
        self.down = nn.ModuleList(Basic(width, width, 1) for _ in range(depth))
        self.up = nn.ModuleList(Basic(width, width, 1) for _ in range(depth))
        self.middle = Basic(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        kept: list[Tensor] = []
        for skip, down in zip(self.skips, self.down, strict=True):
            kept.append(skip(x))
            x = down(functional.max_pool2d(x, 2))
        x = self.middle(x)
        for up, skipped in zip(self.up, reversed(kept), strict=True):
            x = skipped + functional.interpolate(up(x), scale_factor=2.0)
        return x


class Hourglass(nn.Module):
    """Two hourglasses; the second sees the first one's joints."""

    def __init__(self, joints: int = 16, width: int = 64) -> None:
        super().__init__()
        self.stem = nn.Sequential(conv_bn(3, width, 7, 2), Basic(width, width, 1), nn.MaxPool2d(2))
        self.glass = nn.ModuleList(OneGlass(width) for _ in range(2))
        self.feature = nn.ModuleList(conv_bn(width, width, 1) for _ in range(2))
        self.joints = nn.ModuleList(nn.Conv2d(width, joints, 1) for _ in range(2))
        self.back_feature = nn.Conv2d(width, width, 1)
        self.back_joints = nn.Conv2d(joints, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        y1 = self.feature[0](self.glass[0](x))
        j1 = self.joints[0](y1)
        x = x + self.back_feature(y1) + self.back_joints(j1)
        j2 = self.joints[1](self.feature[1](self.glass[1](x)))
        return torch.stack([j1, j2], 1)


def detector(
    name: str, family: str, make: Callable[[], nn.Module], shape: Sequence[int]
) -> Network:
    return Network(name, family, "zoo", Task.DETECTION, tuple(shape), make)


NETWORKS = (
    detector("yolov5n", "YOLOv5", Yolo5, (3, 160, 160)),
    detector("yolov5n_decoded", "YOLOv5", partial(Yolo5, decoded=True), (3, 160, 160)),
    detector("yolov3_tiny", "YOLOv3", Yolo3Tiny, (3, 160, 160)),
    detector("ssdlite_mobilenet_v2", "SSD", SSDLite, (3, 160, 160)),
    detector("centernet_resnet18", "CenterNet", CenterNet, (3, 128, 128)),
    detector("retinanet_resnet18", "RetinaNet", RetinaNet, (3, 128, 128)),
    detector("hourglass", "Hourglass", Hourglass, (3, 128, 128)),
)
