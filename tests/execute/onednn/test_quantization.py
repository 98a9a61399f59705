import torch

from zeropoint.arithmetic.integer import UINT8
from zeropoint.arithmetic.qparams import per_tensor, quantize
from zeropoint.execute.onednn.library import Library
from zeropoint.execute.onednn.memory import Memory
from zeropoint.execute.onednn.quantization import Quantization

LAST = torch.channels_last


def test_quantizing_goes_from_any_layout_to_channels_last(library: Library) -> None:
    params = per_tensor(0.0173, 100, UINT8)
    x = torch.randn(2, 3, 6, 5, generator=torch.Generator().manual_seed(0))
    quantization = Quantization(library, Memory(), params.scale.item(), 100, channels_last=True)
    for layout in (x, x.contiguous(memory_format=LAST), x.transpose(2, 3)):
        q = quantization(layout)
        assert q.is_contiguous(memory_format=LAST)
        assert (q.int() - quantize(layout, params).int()).abs().max() <= 1


def test_quantizing_rows_leaves_them_rows(library: Library) -> None:
    params = per_tensor(0.0173, 100, UINT8)
    x = torch.randn(2, 3, 6, 5, generator=torch.Generator().manual_seed(0))
    quantization = Quantization(library, Memory(), params.scale.item(), 100, channels_last=False)
    q = quantization(x, torch.empty(x.shape, dtype=torch.uint8))
    assert q.is_contiguous()
    assert (q.int() - quantize(x, params).int()).abs().max() <= 1
