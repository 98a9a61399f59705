"""timm's: what the others do not have."""

from zoo.network import Network, Task
from zoo.packages.installed import made_by


def classifier(
    name: str, family: str, size: int = 128, *, convolutional: bool = True, **options: object
) -> Network:
    return Network(
        name=f"timm_{name}",
        family=family,
        source="timm",
        task=Task.CLASSIFICATION,
        shape=(3, size, size),
        make=made_by("timm", "create_model", model_name=name, pretrained=False, **options),
        convolutional=convolutional,
    )


NETWORKS = (
    classifier("resnet26d", "ResNet"),
    classifier("mobilenetv4_conv_small", "MobileNet"),
    classifier("mixnet_s", "MixNet"),
    classifier("hardcorenas_a", "HardCoRe-NAS"),
    classifier("rexnet_100", "ReXNet"),
    classifier("ghostnetv2_100", "GhostNet"),
    classifier("dla34", "DLA"),
    classifier("hrnet_w18_small", "HRNet"),
    classifier("vovnet39a", "VoVNet"),
    classifier("cspresnet50", "CSPNet"),
    classifier("dpn68", "DPN"),
    classifier("selecsls42b", "SelecSLS"),
    classifier("resnetv2_50x1_bit", "BiT"),
    classifier("nf_regnet_b0", "NF-Net"),
    classifier("mobileone_s0", "MobileOne"),
    classifier("hgnetv2_b0", "HGNet"),
    classifier("inception_next_atto", "InceptionNeXt"),
    classifier("starnet_s1", "StarNet"),
    classifier("edgenext_xx_small", "EdgeNeXt", 160, convolutional=False),
    classifier("efficientvit_b0", "EfficientViT", convolutional=False),
)
