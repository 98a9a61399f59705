"""Generators and their critics: DCGAN, CycleGAN, style transfer."""

from torch import Tensor, nn

from zoo.inputs import images, noise
from zoo.network import Network, Task
from zoo.networks.blocks import Residual


def dcgan_generator(width: int = 48) -> nn.Module:
    """Radford et al. 2016: 100 numbers become an image of 64x64."""
    layers: list[nn.Module] = []
    entering, stride, padding = 100, 1, 0
    for leaving in (8 * width, 4 * width, 2 * width, width):
        layers.append(nn.ConvTranspose2d(entering, leaving, 4, stride, padding, bias=False))
        layers += [nn.BatchNorm2d(leaving), nn.ReLU(True)]
        entering, stride, padding = leaving, 2, 1
    return nn.Sequential(*layers, nn.ConvTranspose2d(entering, 3, 4, 2, 1, bias=False), nn.Tanh())


def dcgan_discriminator(width: int = 48) -> nn.Module:
    layers: list[nn.Module] = [nn.Conv2d(3, width, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, True)]
    entering = width
    for leaving in (2 * width, 4 * width, 8 * width):
        layers.append(nn.Conv2d(entering, leaving, 4, 2, 1, bias=False))
        layers += [nn.BatchNorm2d(leaving), nn.LeakyReLU(0.2, inplace=True)]
        entering = leaving
    return nn.Sequential(*layers, nn.Conv2d(entering, 1, 4, bias=False), nn.Sigmoid(), nn.Flatten())


def reflected(entering: int, leaving: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    conv = nn.Conv2d(entering, leaving, kernel, stride)
    return [nn.ReflectionPad2d(kernel // 2), conv, nn.InstanceNorm2d(leaving, affine=True)]


def cyclegan_generator(width: int = 32, depth: int = 4) -> nn.Module:
    """Zhu et al. 2017: reflection pads, instance norms, transposed convolutions."""
    layers = [*reflected(3, width, 7), nn.ReLU(True)]
    layers += [*reflected(width, 2 * width, 3, 2), nn.ReLU(True)]
    layers += [*reflected(2 * width, 4 * width, 3, 2), nn.ReLU(True)]
    for _ in range(depth):
        first = [*reflected(4 * width, 4 * width, 3), nn.ReLU(True)]
        layers.append(Residual(nn.Sequential(*first, *reflected(4 * width, 4 * width, 3))))
    for entering in (4 * width, 2 * width):
        layers.append(nn.ConvTranspose2d(entering, entering // 2, 3, 2, 1, 1))
        layers += [nn.InstanceNorm2d(entering // 2, affine=True), nn.ReLU(True)]
    last = [nn.ReflectionPad2d(3), nn.Conv2d(width, 3, 7), nn.Tanh()]
    return nn.Sequential(*layers, *last)


class FastStyle(nn.Module):
    """Johnson et al. 2016 after Odena: nearest upsampling before each convolution back."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.down = nn.Sequential(
            *reflected(3, width, 9), nn.ReLU(), *reflected(width, 2 * width, 3, 2), nn.ReLU(),
            *reflected(2 * width, 4 * width, 3, 2), nn.ReLU(),
        )  # fmt: skip
        self.body = nn.Sequential(
            *(
                Residual(nn.Sequential(*reflected(4 * width, 4 * width, 3), nn.ReLU()))
                for _ in range(3)
            )
        )
        up: list[nn.Module] = []
        for entering in (4 * width, 2 * width):
            up += [nn.UpsamplingNearest2d(scale_factor=2)]
            up += [*reflected(entering, entering // 2, 3), nn.ReLU()]
        self.up = nn.Sequential(*up, nn.ReflectionPad2d(4), nn.Conv2d(width, 3, 9))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.up(self.body(self.down(x)))
        return y


NETWORKS = (
    Network("dcgan_generator", "DCGAN", "zoo", Task.GENERATION, (100, 1, 1),
            dcgan_generator, noise),
    Network("dcgan_discriminator", "DCGAN", "zoo", Task.CLASSIFICATION, (3, 64, 64),
            dcgan_discriminator, images),
    Network("cyclegan_generator", "CycleGAN", "zoo", Task.GENERATION, (3, 64, 64),
            cyclegan_generator, images),
    Network("fast_style", "style transfer", "zoo", Task.GENERATION, (3, 64, 64), FastStyle, images),
)  # fmt: skip
