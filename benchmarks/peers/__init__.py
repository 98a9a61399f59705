"""The engines, in the order of the table. To add one: one file here, one line in `PEERS`."""

from benchmarks.peers import (
    onnxruntime_float,
    onnxruntime_int8,
    openvino_float,
    openvino_int8,
    torch_channels_last,
    torch_compile,
    torch_eager,
    torch_fx_int8,
    torchao_pt2e_int8,
    zeropoint_int8,
    zeropoint_onnxruntime,
    zeropoint_openvino,
)
from benchmarks.peers.peer import Peer

TORCH_COMPILE = Peer("torch.compile float", torch_compile.prepare, "torch")
OPENVINO_INT8 = Peer("openvino int8", openvino_int8.prepare, "nncf")
ZEROPOINT = Peer("zeropoint int8", zeropoint_int8.prepare, "zeropoint")

PEERS = (
    Peer("torch eager float", torch_eager.prepare, "torch"),
    Peer("torch channels_last float", torch_channels_last.prepare, "torch"),
    TORCH_COMPILE,
    Peer("onnxruntime float", onnxruntime_float.prepare, "onnxruntime"),
    Peer("openvino float", openvino_float.prepare, "openvino"),
    Peer("torch fx int8", torch_fx_int8.prepare, "torch"),
    Peer("torchao pt2e int8", torchao_pt2e_int8.prepare, "torchao"),
    Peer("onnxruntime int8", onnxruntime_int8.prepare, "onnxruntime"),
    Peer("zeropoint on onnxruntime", zeropoint_onnxruntime.prepare, "zeropoint"),
    Peer("zeropoint on openvino", zeropoint_openvino.prepare, "zeropoint"),
    OPENVINO_INT8,
    ZEROPOINT,
)


def peer_named(name: str) -> Peer:
    """The peer of that name; a `ValueError` that lists the names otherwise."""
    for peer in PEERS:
        if peer.name == name:
            return peer
    known = ", ".join(repr(peer.name) for peer in PEERS)
    raise ValueError(f"there is no peer {name!r}; the peers are {known}")
