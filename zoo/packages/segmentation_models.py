"""segmentation-models-pytorch's decoders, each on a small encoder."""

from zoo.network import Network, Task
from zoo.packages.installed import made_by

SOURCE = "segmentation-models-pytorch"


def segmenter(name: str, encoder: str) -> Network:
    make = made_by(
        "segmentation_models_pytorch",
        name,
        encoder_name=encoder,
        encoder_weights=None,
        classes=21,
    )
    title = f"smp_{name.lower()}_{encoder.replace('-', '_')}"
    return Network(title, name, SOURCE, Task.SEGMENTATION, (3, 128, 128), make)


NETWORKS = (
    segmenter("Unet", "resnet18"),
    segmenter("UnetPlusPlus", "mobilenet_v2"),
    segmenter("MAnet", "resnet18"),
    segmenter("FPN", "mobilenet_v2"),
    segmenter("PSPNet", "resnet18"),
    segmenter("PAN", "resnet18"),
    segmenter("DeepLabV3Plus", "resnet18"),
    segmenter("UPerNet", "resnet18"),
)
