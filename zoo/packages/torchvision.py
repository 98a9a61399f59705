"""torchvision's: classifiers, segmenters, video; of its detectors the part before the boxes."""

from torch import Tensor, nn

from zoo.inputs import clips
from zoo.network import Network, Task
from zoo.packages.installed import made_by, module

MODELS = "torchvision.models"


class Raw(nn.Module):
    """A detector's backbone and heads; what follows picks boxes, with loops over the values."""

    def __init__(self, detector: nn.Module) -> None:
        super().__init__()
        self.backbone = detector.get_submodule("backbone")
        self.head = detector.get_submodule("head")

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        maps = list(self.backbone(x).values())
        outputs: dict[str, Tensor] = self.head(maps)
        return outputs


def detector(name: str) -> nn.Module:
    made = getattr(module(f"{MODELS}.detection"), name)(
        weights=None, weights_backbone=None, num_classes=21
    )
    return Raw(made)


def ssdlite() -> nn.Module:
    return detector("ssdlite320_mobilenet_v3_large")


def fcos() -> nn.Module:
    return detector("fcos_resnet50_fpn")


def classifier(name: str, family: str, size: int = 128, **options: object) -> Network:
    make = made_by(MODELS, name, weights=None, **options)
    shape = (3, size, size)
    return Network(f"torchvision_{name}", family, "torchvision", Task.CLASSIFICATION, shape, make)


def segmenter(name: str, family: str) -> Network:
    make = made_by(f"{MODELS}.segmentation", name, weights=None, weights_backbone=None)
    shape = (3, 128, 128)
    return Network(f"torchvision_{name}", family, "torchvision", Task.SEGMENTATION, shape, make)


def video(name: str, family: str) -> Network:
    make = made_by(f"{MODELS}.video", name, weights=None)
    shape = (3, 8, 56, 56)
    return Network(f"torchvision_{name}", family, "torchvision", Task.VIDEO, shape, make, clips)


NETWORKS = (
    classifier("resnet50", "ResNet"),
    classifier("googlenet", "GoogLeNet", aux_logits=True, init_weights=False, transform_input=True),
    classifier("mobilenet_v3_large", "MobileNet"),
    classifier("efficientnet_v2_s", "EfficientNet"),
    classifier("shufflenet_v2_x1_0", "ShuffleNet"),
    classifier("regnet_y_800mf", "RegNet"),
    classifier("convnext_tiny", "ConvNeXt"),
    segmenter("deeplabv3_mobilenet_v3_large", "DeepLab"),
    segmenter("lraspp_mobilenet_v3_large", "LR-ASPP"),
    Network("torchvision_ssdlite_mobilenet_v3", "SSD", "torchvision", Task.DETECTION,
            (3, 160, 160), ssdlite),
    Network("torchvision_fcos_resnet50_fpn", "FCOS", "torchvision", Task.DETECTION,
            (3, 128, 128), fcos),
    video("mc3_18", "ResNet 3d"),
)  # fmt: skip
