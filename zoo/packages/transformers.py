"""Hugging Face transformers': its convolutional networks for images and for sound."""

from functools import partial

from torch import nn

from zoo.inputs import Inputs, frames, images, sounds
from zoo.network import Network, Task
from zoo.packages.installed import module, torchvision_importable


def configured(model: str, config: str, **options: object) -> nn.Module:
    """`Model(Config(**options))`."""
    package = module("transformers")
    with torchvision_importable():  # a name that is looked up may import it
        made: nn.Module = getattr(package, model)(getattr(package, config)(**options))
    return made


def upernet() -> nn.Module:
    """UperNet on two thirds of ConvNeXt-tiny."""
    package = module("transformers")
    with torchvision_importable():
        stages = ["stage1", "stage2", "stage3", "stage4"]
        sizes = {"depths": [2, 2, 4, 2], "hidden_sizes": [96, 192, 384, 768]}
        backbone = package.ConvNextConfig(**sizes, out_features=stages)
        config = package.UperNetConfig(
            backbone_config=backbone, hidden_size=128, auxiliary_in_channels=384
        )
        made: nn.Module = package.UperNetForSemanticSegmentation(config)
    return made


def encodec() -> nn.Module:
    """EnCodec's encoder: what follows looks codes up."""
    encoder = configured("EncodecModel", "EncodecConfig", num_filters=16).encoder
    assert isinstance(encoder, nn.Module)
    return encoder


def network(
    name: str,
    family: str,
    task: Task,
    shape: tuple[int, ...],
    model: str,
    config: str,
    inputs: Inputs = images,
    *,
    convolutional: bool = True,
    **options: object,
) -> Network:
    make = partial(configured, model, config, **options)
    title = f"transformers_{name}"
    return Network(
        title, family, "transformers", task, shape, make, inputs, convolutional=convolutional
    )


IMAGE = (3, 128, 128)
CLASSIFY, SEGMENT = Task.CLASSIFICATION, Task.SEGMENTATION

NETWORKS = (
    network("resnet26", "ResNet", CLASSIFY, IMAGE,
            "ResNetForImageClassification", "ResNetConfig", depths=[2, 2, 2, 2]),
    network("regnet", "RegNet", CLASSIFY, IMAGE,
            "RegNetForImageClassification", "RegNetConfig",
            depths=[1, 2, 7, 12], hidden_sizes=[32, 64, 160, 400], groups_width=16),
    network("mobilenet_v1", "MobileNet", CLASSIFY, IMAGE,
            "MobileNetV1ForImageClassification", "MobileNetV1Config"),
    network("mobilenet_v2", "MobileNet", CLASSIFY, IMAGE,
            "MobileNetV2ForImageClassification", "MobileNetV2Config"),
    network("mobilenet_v2_deeplab", "DeepLab", SEGMENT, IMAGE,
            "MobileNetV2ForSemanticSegmentation", "MobileNetV2Config", output_stride=8),
    network("efficientnet_b0", "EfficientNet", CLASSIFY, IMAGE,
            "EfficientNetForImageClassification", "EfficientNetConfig",
            width_coefficient=1.0, depth_coefficient=1.0, hidden_dim=1280),
    network("convnext_tiny", "ConvNeXt", CLASSIFY, IMAGE,
            "ConvNextForImageClassification", "ConvNextConfig", depths=[2, 2, 4, 2]),
    network("convnext_v2_atto", "ConvNeXt", CLASSIFY, IMAGE,
            "ConvNextV2ForImageClassification", "ConvNextV2Config",
            depths=[2, 2, 6, 2], hidden_sizes=[40, 80, 160, 320]),
    network("bit", "BiT", CLASSIFY, IMAGE,
            "BitForImageClassification", "BitConfig", depths=[2, 2, 2, 2]),
    network("poolformer_s12", "PoolFormer", CLASSIFY, IMAGE,
            "PoolFormerForImageClassification", "PoolFormerConfig"),
    network("levit_128s", "LeViT", CLASSIFY, IMAGE,
            "LevitForImageClassification", "LevitConfig", image_size=128,
            hidden_sizes=[128, 256, 384], num_attention_heads=[4, 6, 8], depths=[2, 3, 4],
            key_dim=[16, 16, 16], convolutional=False),
    network("mobilevit_xxs", "MobileViT", CLASSIFY, IMAGE,
            "MobileViTForImageClassification", "MobileViTConfig",
            hidden_sizes=[64, 80, 96], neck_hidden_sizes=[16, 16, 24, 48, 64, 80, 320],
            convolutional=False),
    network("segformer_b0", "SegFormer", SEGMENT, IMAGE,
            "SegformerForSemanticSegmentation", "SegformerConfig", convolutional=False),
    network("swiftformer_xs", "SwiftFormer", CLASSIFY, (3, 224, 224),
            "SwiftFormerForImageClassification", "SwiftFormerConfig", convolutional=False),
    network("hgnetv2", "HGNet", Task.FEATURES, IMAGE, "HGNetV2Backbone", "HGNetV2Config"),
    network("textnet", "TextNet", CLASSIFY, IMAGE,
            "TextNetForImageClassification", "TextNetConfig"),
    network("speecht5_hifigan", "HiFi-GAN", Task.AUDIO, (32, 80),
            "SpeechT5HifiGan", "SpeechT5HifiGanConfig", frames, upsample_initial_channel=128),
    Network("transformers_upernet_convnext", "UperNet", "transformers", SEGMENT, IMAGE, upernet),
    Network("transformers_encodec_encoder", "EnCodec", "transformers", Task.AUDIO, (1, 8000),
            encodec, sounds),
)  # fmt: skip
