import torch
from torch import nn

import zeropoint as zp
from tests.nets import Residual, images, seeded
from zeropoint.report.prove import prove


def test_there_is_a_bound_for_each_layer_and_it_fits() -> None:
    q = zp.quantize(seeded(Residual()), [images()])
    proof = prove(q)
    assert [bound.layer for bound in proof.bounds] == [
        node.origin.layer for node in q.program.graph.nodes if node.op.name in ("conv2d", "linear")
    ]
    assert proof.fits_int32
    assert all(bound.bits <= 32 for bound in proof.bounds)
    assert "No accumulator can overflow int32" in str(proof)


def test_channels_that_can_saturate_16_bits_are_counted() -> None:
    net = nn.Sequential(nn.Conv2d(2, 3, 1, bias=False), nn.ReLU())
    with torch.no_grad():
        conv = net[0]
        assert isinstance(conv, nn.Conv2d)
        conv.weight[:] = torch.tensor([[1.0, 1.0], [1.0, 0.001], [-1.0, 1.0]])[..., None, None]
    # The reference has 8 bits on every CPU.
    proof = prove(zp.quantize(net.eval(), [torch.rand(4, 2, 5, 5)], engine="reference"))
    assert proof.bounds[0].saturating == (0,)
    assert proof.needs_vnni
    assert proof.bounds[0].bits == 17  # 2 * 127 * 255 and its sign
    assert "1 of 3 channels can saturate" in str(proof)
    assert proof.to_dict()["bounds"][0]["saturating"] == (0,)
