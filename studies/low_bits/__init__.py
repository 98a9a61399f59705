"""ResNet-20 on CIFAR-10 at 8 to 2 bits."""
