"""Ways to train, in the order of the table. To add one: one file here, one line in `PEERS`."""

from functools import partial

from benchmarks.qat_peers import (
    brevitas_qat,
    float_training,
    torch_fx_qat,
    torchao_pt2e_qat,
    zeropoint_qat,
)
from benchmarks.qat_peers.peer import Peer

FLOAT = Peer("float", float_training.prepare)
ZEROPOINT = Peer("zeropoint", zeropoint_qat.prepare)

PEERS = (
    FLOAT,
    ZEROPOINT,
    Peer("zeropoint, folded", partial(zeropoint_qat.prepare, folded=True)),
    Peer("zeropoint, moving ranges", partial(zeropoint_qat.prepare, moving=True)),
    Peer(
        "zeropoint, moving ranges, folded",
        partial(zeropoint_qat.prepare, moving=True, folded=True),
    ),
    Peer("torch FX", torch_fx_qat.prepare),
    Peer("torchao PT2E", torchao_pt2e_qat.prepare),
    Peer("brevitas", brevitas_qat.prepare),
    Peer("brevitas, folded", partial(brevitas_qat.prepare, folded=True)),
)


def peer_named(name: str) -> Peer:
    """The peer of that name; a `ValueError` that lists the names otherwise."""
    for peer in PEERS:
        if peer.name == name:
            return peer
    known = ", ".join(repr(peer.name) for peer in PEERS)
    raise ValueError(f"there is no peer {name!r}; the peers are {known}")
