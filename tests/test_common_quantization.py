"""The models that torch tests its own quantizers with: each is quantized, or refused with reason.

They ship in torch's wheel; REFUSED names those that are refused, and says what they are told.
"""

import inspect
import sys
import types
import unittest
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import zeropoint as zp
from tests.nets import seeded
from zeropoint.errors import ZeropointError
from zeropoint.graph.structure import leaves_of

sys.modules.setdefault("expecttest", types.SimpleNamespace(TestCase=unittest.TestCase))  # type: ignore[arg-type]  # of it torch's file needs a base class only
common = pytest.importorskip("torch.testing._internal.common_quantization")

MODELS = {
    name: kind
    for name, kind in vars(common).items()
    if inspect.isclass(kind) and issubclass(kind, nn.Module) and kind.__module__ == common.__name__
}
NOTHING = "nothing to quantize"
"""The model has no convolution, and no linear layer or only what stays float."""

BAG = "embedding_bag.padding_idx' is none of the operators that a program may call"
REFUSED = {
    "ActivationsTestModel": NOTHING,
    "DummyObserver": NOTHING,
    "EmbBagWrapper": BAG,
    "EmbeddingBagModule": BAG,
    "EmbeddingModule": NOTHING,
    "EmbeddingWithStaticLinear": BAG,
    "LSTMwithHiddenDynamicModel": r"yields a tuple of Tensor, tuple",
    "ManualEmbeddingBagLinear": BAG,
    # It makes rows of what several samples hold, so that one sample has none of its own.
    "ModelMultipleOpsNoAvgPool": "fc is declared as",
    "ModelWithFunctionals": NOTHING,
    "RNNCellDynamicModel": NOTHING,
    "RNNDynamicModel": NOTHING,
    "SparseNNModel": BAG,
}
ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "RNNDynamicModel": ("LSTM",),
    "RNNCellDynamicModel": ("LSTMCell",),
    "DenseTopMLP": (4, 2, 5, 2, 2),
    "EmbBagWrapper": (10, 4),
    "ModelForFusion": (None,),
}
SHAPES = (
    (2, 5), (2, 2), (2, 3, 8, 8), (2, 2, 5, 5), (2, 1, 5, 5), (2, 3, 5), (1, 3, 10, 10),
    (2, 1, 10, 10), (2, 3, 1, 19),
    (2, 3, 4, 4), (2, 3, 32, 32), (2, 3, 5, 5), (2, 4), (2, 20), (2, 10), (2, 100), (3, 2, 2),
)  # fmt: skip


def candidates(model: Any) -> list[tuple[Tensor, ...]]:
    """Inputs that the model may take: its own example, and others."""
    found = [tuple(model.get_example_inputs())] if hasattr(model, "get_example_inputs") else []
    found += [(torch.rand(shape),) for shape in SHAPES]
    found += [(torch.randint(0, 10, (2, 4)),)]
    indices, offsets = torch.randint(0, 10, (6,)), torch.tensor([0, 3])
    found += [(indices, offsets), (indices, offsets, torch.rand(6))]
    found += [(indices, offsets, torch.rand(2, 4)), (indices, offsets, torch.rand(2, 5))]
    found += [(torch.rand(2, n), torch.rand(2, 4)) for n in (4, 5)]
    hidden = torch.rand(1, 2, 2), torch.rand(1, 2, 2)
    return [*found, (torch.rand(3, 2, 2), hidden)]


def inputs_for(model: nn.Module) -> tuple[Tensor, ...] | None:
    for inputs in candidates(model):
        try:
            model(*inputs)
        except Exception:  # whatever it raises: these are not its inputs
            continue
        return inputs
    return None


def made(name: str) -> nn.Module:
    kind = MODELS[name]
    asks = "qengine" in inspect.signature(kind.__init__).parameters
    model: nn.Module = kind(*(("fbgemm",) if asks else ARGUMENTS.get(name, ())))
    return seeded(model)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", MODELS)
def test_it_is_quantized_or_refused_for_a_reason(name: str) -> None:
    torch.manual_seed(0)
    model = made(name)
    inputs = inputs_for(model)
    assert inputs is not None, inspect.signature(model.forward)
    if name in REFUSED:
        with pytest.raises(ZeropointError, match=REFUSED[name]):
            zp.quantize(model, [inputs], engine="reference")
        return
    q = zp.quantize(model, [inputs], engine="reference")
    with torch.no_grad():
        pairs = zip(leaves_of(model(*inputs)), leaves_of(q(*inputs)), strict=True)
    for expected, found in pairs:
        assert expected.shape == found.shape
        assert (expected - found).norm() <= 0.1 * expected.norm() + 1e-6
