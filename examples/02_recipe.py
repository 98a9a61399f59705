"""Another recipe: fewer bits, another calibrator, layers that stay float; nothing is silent."""

from torch import nn

import zeropoint as zp
from zeropoint.demo import digits, train

train_loader, test_loader = digits()
model = train(train_loader)

four_bits = zp.Recipe(
    weights=zp.TensorSpec(bits=4, symmetric=True, granularity=zp.PerChannel(), calibrator=zp.MSE()),
    overrides={"stem": zp.Recipe(), nn.Linear: None},  # 8 bits for the stem, float for the last
)
for name, recipe in {"8 bits": zp.Recipe(), "4-bit weights": four_bits}.items():
    q = zp.quantize(model, train_loader, recipe)
    card = zp.compare(model, q, test_loader, latency=False)
    print(f"{name}: {card.int8_accuracy:.2%}, SQNR {card.sqnr_db:.1f} dB")
    print(q.coverage())
