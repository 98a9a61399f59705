"""A fast engine beside the specification, and the program and the plan that both run."""

import zeropoint as zp
from zeropoint.demo import digits, train

train_loader, test_loader = digits()
q = zp.quantize(train(train_loader), train_loader)
reference = q.with_engine("reference")

images, _ = next(iter(test_loader))
fast, exact = q(images), reference(images)
print(f"{q.engine} against {reference.engine}: largest difference {(fast - exact).abs().max():.3g}")
print(f"same decisions: {(fast.argmax(1) == exact.argmax(1)).float().mean():.2%}")
print(q.program)
print(q.plan)
