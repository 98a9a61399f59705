"""A class for each pixel: U-Nets, FCN, DeepLab, BiSeNet, LinkNet, ESPNet, HRNet, SegNet."""

import itertools
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from zoo.network import Network, Task
from zoo.networks.blocks import Activation, conv_bn, resized, separable
from zoo.networks.detection import ResNetMaps
from zoo.networks.mobile import InvertedResidual
from zoo.networks.resnet import WIDTHS, Basic

CLASSES = 21


def twice(entering: int, leaving: int) -> nn.Module:
    return nn.Sequential(conv_bn(entering, leaving), conv_bn(leaving, leaving))


class UNet(nn.Module):
    """Ronneberger et al. 2015, half as wide; up by transposed convolutions or by bilinear maps."""

    def __init__(self, *, bilinear: bool, width: int = 32, depth: int = 4) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(depth + 1)]
        self.first = twice(3, widths[0])
        self.down = nn.ModuleList(
            nn.Sequential(nn.MaxPool2d(2), twice(a, b)) for a, b in itertools.pairwise(widths)
        )
        self.up, self.join = nn.ModuleList(), nn.ModuleList()
        for wide, narrow in zip(widths[:0:-1], widths[-2::-1], strict=True):
            self.up.append(
                nn.Sequential(
                    nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True),
                    nn.Conv2d(wide, narrow, 1),
                )
                if bilinear
                else nn.ConvTranspose2d(wide, narrow, 2, 2)
            )
            self.join.append(twice(2 * narrow, narrow))
        self.head = nn.Conv2d(width, CLASSES, 1)

    def forward(self, x: Tensor) -> Tensor:
        maps = [self.first(x)]
        for down in self.down:
            maps.append(down(maps[-1]))
        y = maps.pop()
        for up, join in zip(self.up, self.join, strict=True):
            y = join(torch.cat([maps.pop(), up(y)], 1))
        logits: Tensor = self.head(y)
        return logits


class FCN(nn.Module):
    """Long et al. 2015: sums of class maps from three depths, up by transposed convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.maps = ResNetMaps()
        self.scores = nn.ModuleList(nn.Conv2d(width, CLASSES, 1) for width in WIDTHS[1:])
        self.up2 = nn.ConvTranspose2d(CLASSES, CLASSES, 4, 2, 1, bias=False)
        self.up4 = nn.ConvTranspose2d(CLASSES, CLASSES, 4, 2, 1, bias=False)
        self.up8 = nn.ConvTranspose2d(CLASSES, CLASSES, 16, 8, 4, groups=CLASSES, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        fine, middle, coarse = (
            score(y) for score, y in zip(self.scores, self.maps(x), strict=True)
        )
        logits: Tensor = self.up8(self.up4(self.up2(coarse) + middle) + fine)
        return logits


class ASPP(nn.Module):
    """Dilated convolutions of several reaches, and the whole map's mean, concatenated."""

    def __init__(
        self, entering: int, leaving: int, dilations: tuple[int, ...] = (6, 12, 18)
    ) -> None:
        super().__init__()
        self.branches = nn.ModuleList([conv_bn(entering, leaving, 1)])
        self.branches.extend(conv_bn(entering, leaving, dilation=d) for d in dilations)
        self.whole = nn.Sequential(nn.AdaptiveAvgPool2d(1), conv_bn(entering, leaving, 1))
        self.join = nn.Sequential(
            conv_bn((len(dilations) + 2) * leaving, leaving, 1), nn.Dropout(0.5)
        )

    def forward(self, x: Tensor) -> Tensor:
        maps = [branch(x) for branch in self.branches]
        maps.append(resized(self.whole(x), x))
        y: Tensor = self.join(torch.cat(maps, 1))
        return y


class DeepLab(nn.Module):
    """DeepLabV3+ (Chen et al. 2018) on MobileNetV2 of output stride 16."""

    def __init__(self, width: int = 128) -> None:
        super().__init__()
        low: list[nn.Module] = [conv_bn(3, 32, 3, 2, act=nn.ReLU6)]
        high: list[nn.Module] = []
        entering = 32
        plan = ((1, 16, 1), (6, 24, 2), (6, 24, 1), (6, 32, 2), (6, 64, 2), (6, 64, 1), (6, 96, 1))
        for expansion, leaving, stride in plan:
            block = InvertedResidual(
                entering, expansion * entering, leaving, kernel=3, stride=stride, act=nn.ReLU6
            )
            (low if leaving <= 24 else high).append(block)
            entering = leaving
        self.low, self.high = nn.Sequential(*low), nn.Sequential(*high)
        self.aspp = ASPP(96, width)
        self.lateral = conv_bn(24, 48, 1)
        self.join = nn.Sequential(separable(width + 48, width), separable(width, width))
        self.head = nn.Conv2d(width, CLASSES, 1)

    def forward(self, x: Tensor) -> Tensor:
        low = self.low(x)
        y = resized(self.aspp(self.high(low)), low)
        y = self.head(self.join(torch.cat([y, self.lateral(low)], 1)))
        return functional.interpolate(y, size=x.shape[2:], mode="bilinear", align_corners=False)


class AttentionRefinement(nn.Module):
    def __init__(self, entering: int, leaving: int) -> None:
        super().__init__()
        self.conv = conv_bn(entering, leaving)
        self.gate = nn.Sequential(conv_bn(leaving, leaving, 1, act=None), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        refined: Tensor = y * self.gate(functional.adaptive_avg_pool2d(y, 1))
        return refined


class BiSeNet(nn.Module):
    """Yu et al. 2018: a shallow path that keeps places, a deep one that knows what they are."""

    def __init__(self) -> None:
        super().__init__()
        self.places = nn.Sequential(
            conv_bn(3, 64, 7, 2), conv_bn(64, 64, 3, 2), conv_bn(64, 64, 3, 2), conv_bn(64, 128, 1)
        )
        self.maps = ResNetMaps()
        self.refine16, self.refine32 = AttentionRefinement(256, 128), AttentionRefinement(512, 128)
        self.whole = conv_bn(512, 128, 1)
        self.smooth16, self.smooth32 = conv_bn(128, 128), conv_bn(128, 128)
        self.fuse = conv_bn(256, 256, 1)
        self.gate = nn.Sequential(
            nn.Conv2d(256, 64, 1), nn.ReLU(), nn.Conv2d(64, 256, 1), nn.Sigmoid()
        )
        self.head = nn.Sequential(conv_bn(256, 64), nn.Conv2d(64, CLASSES, 1))

    def forward(self, x: Tensor) -> Tensor:
        _, map16, map32 = self.maps(x)
        whole = self.whole(map32.mean((2, 3), keepdim=True))
        y = self.refine32(map32) + whole
        y = self.smooth32(functional.interpolate(y, scale_factor=2, mode="nearest"))
        y = self.refine16(map16) + y
        y = self.smooth16(functional.interpolate(y, scale_factor=2, mode="nearest"))
        y = self.fuse(torch.cat([self.places(x), y], 1))
        y = y + y * self.gate(functional.adaptive_avg_pool2d(y, 1))
        return functional.interpolate(self.head(y), scale_factor=8, mode="bilinear")


class LinkUp(nn.Module):
    """1x1, transposed 3x3, 1x1."""

    def __init__(self, entering: int, leaving: int, stride: int) -> None:
        super().__init__()
        hidden = entering // 4
        self.reduce = conv_bn(entering, hidden, 1)
        self.up = nn.ConvTranspose2d(hidden, hidden, 3, stride, 1, stride - 1, bias=False)
        self.norm = nn.BatchNorm2d(hidden)
        self.expand = conv_bn(hidden, leaving, 1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.expand(functional.relu(self.norm(self.up(self.reduce(x)))))
        return y


class LinkNet(nn.Module):
    """Chaurasia & Culurciello 2017: the decoder adds the encoder's maps."""

    def __init__(self) -> None:
        super().__init__()
        self.maps = ResNetMaps()
        self.up = nn.ModuleList([LinkUp(512, 256, 2), LinkUp(256, 128, 2), LinkUp(128, 64, 2)])
        self.last = nn.Sequential(
            nn.ConvTranspose2d(64, 32, 3, 2, 1, 1), nn.ReLU(inplace=True),
            nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(inplace=True),
            nn.ConvTranspose2d(32, CLASSES, 2, 2),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        fine, middle, coarse = self.maps(x)
        y = self.up[0](coarse) + middle
        y = self.up[2](self.up[1](y) + fine)
        logits: Tensor = self.last(y)
        return logits


class Pyramid(nn.Module):
    """ESP (Mehta et al. 2018): four dilations, summed one into the next, then concatenated."""

    def __init__(self, entering: int, leaving: int, stride: int = 1) -> None:
        super().__init__()
        width = leaving // 4
        self.reduce = nn.Conv2d(entering, width, 3 if stride == 2 else 1, stride, stride // 2)
        self.convs = nn.ModuleList(
            nn.Conv2d(width, width, 3, padding=2**power, dilation=2**power, bias=False)
            for power in range(4)
        )
        self.norm = nn.BatchNorm2d(leaving)
        self.act = nn.PReLU(leaving)
        self.same = entering == leaving and stride == 1

    def forward(self, x: Tensor) -> Tensor:
        y = self.reduce(x)
        parts = [conv(y) for conv in self.convs]
        sums = [parts[0], parts[1]]
        for part in parts[2:]:
            sums.append(sums[-1] + part)
        z = torch.cat(sums, 1)
        result: Tensor = self.act(self.norm(z + x if self.same else z))
        return result


class ESPNet(nn.Module):
    """ESPNet-C with a light decoder: PReLU everywhere."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv_bn(3, 16, 3, 2, act=partial(nn.PReLU, 16))
        self.level2 = nn.Sequential(Pyramid(16, 64, 2), Pyramid(64, 64), Pyramid(64, 64))
        self.level3 = nn.Sequential(Pyramid(64, 128, 2), Pyramid(128, 128), Pyramid(128, 128))
        self.score3 = nn.Conv2d(128, CLASSES, 1)
        self.up3 = nn.ConvTranspose2d(CLASSES, CLASSES, 2, 2, bias=False)
        self.score2 = nn.Conv2d(64, CLASSES, 1)
        self.join = conv_bn(2 * CLASSES, CLASSES, act=partial(nn.PReLU, CLASSES))
        self.up = nn.ConvTranspose2d(CLASSES, CLASSES, 4, 4, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        level2 = self.level2(self.stem(x))
        up = self.up3(self.score3(self.level3(level2)))
        logits: Tensor = self.up(self.join(torch.cat([up, self.score2(level2)], 1)))
        return logits


class PathSum(nn.Module):
    """The rectified sum of what each path makes of its map."""

    def __init__(self, paths: list[nn.Module]) -> None:
        super().__init__()
        self.paths = nn.ModuleList(paths)

    def forward(self, maps: list[Tensor]) -> Tensor:
        total = self.paths[0](maps[0])
        for path, y in zip(self.paths[1:], maps[1:], strict=True):
            total = total + path(y)
        return torch.relu(total)


class Exchange(nn.Module):
    """HRNet (Wang et al. 2019): blocks at every resolution, then everything into everything."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.Sequential(Basic(width, width, 1), Basic(width, width, 1)) for width in widths
        )
        places = range(len(widths))
        self.sums = nn.ModuleList(
            PathSum([self.path(widths, source, target) for source in places]) for target in places
        )

    @staticmethod
    def path(widths: tuple[int, ...], source: int, target: int) -> nn.Module:
        if source == target:
            return nn.Identity()
        if source > target:
            up = nn.Upsample(scale_factor=2 ** (source - target), mode="nearest")
            return nn.Sequential(conv_bn(widths[source], widths[target], 1, act=None), up)
        layers: list[nn.Module] = []
        for step in range(target - source):
            is_last = step == target - source - 1
            leaving = widths[target] if is_last else widths[source]
            layers.append(conv_bn(widths[source], leaving, 3, 2, act=None if is_last else nn.ReLU))
        return nn.Sequential(*layers)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        maps = [block(y) for block, y in zip(self.blocks, maps, strict=True)]
        return [total(maps) for total in self.sums]


class HRNet(nn.Module):
    """HRNet-W18, one module a stage, three resolutions; a pixel sees all of them."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(conv_bn(3, 32, 3, 2), conv_bn(32, 32, 3, 2), Basic(32, 32, 1))
        self.first = nn.ModuleList([conv_bn(32, 18), conv_bn(32, 36, 3, 2)])
        self.stage2 = Exchange((18, 36))
        self.third = conv_bn(36, 72, 3, 2)
        self.stage3 = Exchange((18, 36, 72))
        self.head = nn.Sequential(conv_bn(126, 126, 1), nn.Conv2d(126, CLASSES, 1))

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        maps = self.stage2([transition(x) for transition in self.first])
        maps = self.stage3([*maps, self.third(maps[-1])])
        joined = torch.cat([maps[0], *(resized(y, maps[0]) for y in maps[1:])], 1)
        logits: Tensor = self.head(joined)
        return logits


class SegNet(nn.Module):
    """Badrinarayanan et al. 2017: pools remember where their maxima were, unpools put them back."""

    def __init__(self, widths: tuple[int, ...] = (32, 64, 128)) -> None:
        super().__init__()
        self.down = nn.ModuleList(
            twice(a, b) for a, b in zip((3, *widths[:-1]), widths, strict=True)
        )
        back = tuple(reversed(widths))
        self.up = nn.ModuleList(
            twice(a, b) for a, b in zip(back, (*back[1:], back[-1]), strict=True)
        )
        self.pool = nn.MaxPool2d(2, return_indices=True)
        self.unpool = nn.MaxUnpool2d(2)
        self.head = nn.Conv2d(back[-1], CLASSES, 1)

    def forward(self, x: Tensor) -> Tensor:
        places: list[Tensor] = []
        for down in self.down:
            x, indices = self.pool(down(x))
            places.append(indices)
        for up in self.up:
            x = up(self.unpool(x, places.pop()))
        logits: Tensor = self.head(x)
        return logits


class FastSCNN(nn.Module):
    """Poudel et al. 2019: learning to downsample, pyramid pooling, fusion."""

    def __init__(self) -> None:
        super().__init__()
        self.fine = nn.Sequential(conv_bn(3, 32, 3, 2), separable(32, 48, 2), separable(48, 64, 2))
        layers: list[nn.Module] = []
        entering = 64
        for leaving, stride in ((64, 2), (64, 1), (96, 2), (96, 1), (128, 1)):
            layers.append(
                InvertedResidual(
                    entering, 6 * entering, leaving, kernel=3, stride=stride, act=nn.ReLU
                )
            )
            entering = leaving
        self.coarse = nn.Sequential(*layers)
        self.pools = nn.ModuleList(
            nn.Sequential(nn.AdaptiveAvgPool2d(size), conv_bn(128, 32, 1)) for size in (1, 2, 4)
        )
        self.pyramid = conv_bn(128 + 3 * 32, 128, 1)
        self.depthwise = conv_bn(128, 128, 3, groups=128)
        self.from_coarse = conv_bn(128, 128, 1, act=None)
        self.from_fine = conv_bn(64, 128, 1, act=None)
        self.head = nn.Sequential(separable(128, 128), nn.Dropout(0.1), nn.Conv2d(128, CLASSES, 1))

    def forward(self, x: Tensor) -> Tensor:
        fine = self.fine(x)
        coarse = self.coarse(fine)
        pooled = [resized(pool(coarse), coarse) for pool in self.pools]
        coarse = resized(self.pyramid(torch.cat([coarse, *pooled], 1)), fine)
        y = functional.relu(self.from_coarse(self.depthwise(coarse)) + self.from_fine(fine))
        return functional.interpolate(
            self.head(y), scale_factor=8, mode="bilinear", align_corners=True
        )


class ENetBlock(nn.Module):
    """Paszke et al. 2016: narrow, a 3x3 (dilated, or 5x1 and 1x5), wide, PReLU over the sum."""

    def __init__(self, width: int, *, dilation: int = 1, asymmetric: bool = False) -> None:
        super().__init__()
        hidden = width // 4
        act: Activation = partial(nn.PReLU, hidden)
        middle = (
            nn.Sequential(
                nn.Conv2d(hidden, hidden, (5, 1), padding=(2, 0), bias=False),
                conv_bn(hidden, hidden, (1, 5), act=act),
            )
            if asymmetric
            else conv_bn(hidden, hidden, dilation=dilation, act=act)
        )
        self.body = nn.Sequential(
            conv_bn(width, hidden, 1, act=act), middle, conv_bn(hidden, width, 1, act=None),
            nn.Dropout2d(0.1),
        )  # fmt: skip
        self.act = nn.PReLU(width)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.act(x + self.body(x))
        return y


class ENet(nn.Module):
    """The encoder, and a decoder of transposed convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 13, 3, 2, 1, bias=False)
        self.pool = nn.MaxPool2d(2)
        self.norm, self.act = nn.BatchNorm2d(16), nn.PReLU(16)
        self.body = nn.Sequential(
            conv_bn(16, 64, 3, 2, act=partial(nn.PReLU, 64)), ENetBlock(64), ENetBlock(64),
            conv_bn(64, 128, 3, 2, act=partial(nn.PReLU, 128)),
            ENetBlock(128), ENetBlock(128, dilation=2), ENetBlock(128, asymmetric=True),
            ENetBlock(128, dilation=4), ENetBlock(128), ENetBlock(128, dilation=8),
        )  # fmt: skip
        self.up = nn.Sequential(
            LinkUp(128, 64, 2), ENetBlock(64), LinkUp(64, 16, 2), ENetBlock(16),
            nn.ConvTranspose2d(16, CLASSES, 2, 2),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.norm(torch.cat([self.conv(x), self.pool(x)], 1)))
        logits: Tensor = self.up(self.body(x))
        return logits


class Monodepth(nn.Module):
    """Godard et al. 2019: reflection pads, ELU, nearest upsampling, 1 / (a + b sigmoid)."""

    def __init__(self) -> None:
        super().__init__()

        def reflected(entering: int, leaving: int) -> nn.Module:
            return nn.Sequential(
                nn.ReflectionPad2d(1), nn.Conv2d(entering, leaving, 3), nn.ELU(inplace=True)
            )

        self.maps = ResNetMaps()
        self.up = nn.ModuleList([reflected(512, 256), reflected(256, 128), reflected(128, 64)])
        self.join = nn.ModuleList([reflected(512, 256), reflected(256, 128)])
        self.head = nn.Sequential(nn.ReflectionPad2d(1), nn.Conv2d(64, 1, 3), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        fine, middle, y = self.maps(x)
        for up, join, skip in zip(self.up[:2], self.join, (middle, fine), strict=True):
            y = functional.interpolate(up(y), scale_factor=2, mode="nearest")
            y = join(torch.cat([y, skip], 1))
        disparity: Tensor = self.head(functional.interpolate(self.up[2](y), scale_factor=2))
        return 1 / (0.01 + 9.99 * disparity)


def segmenter(name: str, family: str, make: Callable[[], nn.Module], size: int = 128) -> Network:
    return Network(name, family, "zoo", Task.SEGMENTATION, (3, size, size), make)


NETWORKS = (
    segmenter("unet", "U-Net", partial(UNet, bilinear=False)),
    segmenter("unet_bilinear", "U-Net", partial(UNet, bilinear=True)),
    segmenter("fcn8s_resnet18", "FCN", FCN),
    segmenter("deeplabv3plus_mobilenet_v2", "DeepLab", DeepLab),
    segmenter("bisenet_resnet18", "BiSeNet", BiSeNet),
    segmenter("linknet_resnet18", "LinkNet", LinkNet),
    segmenter("espnet", "ESPNet", ESPNet),
    segmenter("hrnet_w18_small", "HRNet", HRNet),
    segmenter("segnet", "SegNet", SegNet),
    segmenter("fast_scnn", "Fast-SCNN", FastSCNN, 256),
    segmenter("enet", "ENet", ENet),
    segmenter("monodepth_resnet18", "Monodepth", Monodepth),
)
