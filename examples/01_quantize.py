"""A trained network and a loader become an integer network, a table and a file."""

import torch

import zeropoint as zp
from zeropoint.demo import digits, train

train_loader, test_loader = digits()
model = train(train_loader)

q = zp.quantize(model, train_loader)
print(zp.compare(model, q, test_loader))

q.save("digits.safetensors")
images, _ = next(iter(test_loader))
assert torch.equal(zp.load("digits.safetensors", q.engine)(images), q(images))
