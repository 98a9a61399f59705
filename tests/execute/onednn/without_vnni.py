"""For a process of its own, where oneDNN is told to use no more than AVX2: see test_executor.py."""

import json
import sys

import torch
from torch import Tensor, nn

import zeropoint as zp
from tests.nets import images
from zeropoint import target
from zeropoint.errors import EngineError


def wide_weights() -> nn.Module:
    """A network in which every weight of some channels is the largest code."""
    torch.manual_seed(0)
    first, second = nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(16, 16, 3)
    with torch.no_grad():
        second.weight[:4] = 0.1 * second.weight[:4].sign()
    head = nn.Linear(16 * 36, 10)
    return nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), nn.Flatten(), head).eval()


def difference(q: zp.QuantizedModel) -> float:
    """How far the engine is from the reference, relative to its largest output."""
    x = images(8).abs()
    expected = q.with_engine("reference")(x)
    relative: Tensor = (q(x) - expected).abs().max() / expected.abs().max()
    return relative.item()


def main() -> None:
    net, loader = wide_weights(), [images(8).abs()]
    really = target.cpu
    target.cpu = lambda: target.Cpu(is_x86=True, vnni=target.VNNI)
    full = zp.quantize(net, loader, engine="onednn")
    target.cpu = really
    repaired = zp.quantize(net, loader, engine="onednn")
    try:
        full.with_engine("onednn")
        refusal = ""
    except EngineError as error:
        refusal = str(error)
    json.dump(
        {
            "saturating": difference(full),
            "repaired": difference(repaired),
            "needs_vnni": [zp.prove(q).needs_vnni for q in (full, repaired)],
            "refusal": refusal,
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main()
