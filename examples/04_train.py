"""Quantization-aware training at 2 bits, in a plain loop, from a float network that ends it all."""

import torch
from torch import nn

import zeropoint as zp
from zeropoint.demo import digits, train

train_loader, test_loader = digits()
model = train(train_loader)

narrow = zp.Recipe(
    weights=zp.TensorSpec(bits=2, symmetric=True, granularity=zp.PerChannel(), calibrator=zp.MSE()),
    activations=zp.TensorSpec(bits=2),
)
print(zp.compare(model, zp.quantize(model, train_loader, narrow), test_loader))

qat = zp.prepare_qat(model, train_loader, narrow)
optimizer = torch.optim.SGD(qat.parameters(), lr=0.01, momentum=0.9)
for _ in range(4):  # epochs
    qat.train()
    for images, labels in train_loader:
        optimizer.zero_grad()
        logits = qat(images)
        loss = nn.functional.cross_entropy(logits, labels)
        loss += zp.train.distillation_loss(logits, model(images))
        loss.backward()
        optimizer.step()
    qat.eval()  # computes what the integer network will compute

q = zp.convert(qat)
print(zp.compare(model, q, test_loader))
