"""The benchmark of training steps, on batches of two images."""

import pytest
import torch
from rich.console import Console
from torch import Tensor, nn

from benchmarks.cell import Failure
from benchmarks.qat import (
    Cell,
    Row,
    Timing,
    batches,
    look,
    measure,
    network,
    rows,
    table,
    training_step,
)
from benchmarks.qat_peers import FLOAT, PEERS, ZEROPOINT, peer_named
from benchmarks.qat_peers.peer import Peer

BATCH = 2
OURS = [peer for peer in PEERS if peer.name.startswith("zeropoint")]
ALL_CONVOLUTIONS = 21


def test_the_convolutions_of_the_float_network_read_no_grid() -> None:
    model, [x] = network(BATCH), batches(BATCH, 1)
    assert look(FLOAT.prepare(model, [x]), x, torch.float32) == (0, ALL_CONVOLUTIONS)


@pytest.mark.parametrize("peer", OURS, ids=lambda peer: peer.name)
def test_all_convolutions_of_ours_read_8_bit_grids(peer: Peer) -> None:
    model, [x] = network(BATCH), batches(BATCH, 1)
    module = peer.prepare(model, [x])
    for dtype in (torch.float32, torch.bfloat16):
        assert look(module, x, dtype) == (ALL_CONVOLUTIONS, ALL_CONVOLUTIONS)


def test_a_step_moves_every_parameter_of_the_copy_and_none_of_the_model() -> None:
    model, [x] = network(BATCH), batches(BATCH, 1)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    module = ZEROPOINT.prepare(model, [x])
    start = {name: parameter.detach().clone() for name, parameter in module.named_parameters()}
    training_step(module, x, torch.float32)()
    still = [name for name, p in module.named_parameters() if torch.equal(p, start[name])]
    assert still == []
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_the_running_statistics_are_those_of_one_batch() -> None:
    model, [x] = network(BATCH), batches(BATCH, 1)
    first = model.get_submodule("bn1")
    with torch.no_grad():
        expected = model.get_submodule("conv1")(x).mean((0, 2, 3))
    assert isinstance(first, nn.BatchNorm2d)
    assert first.running_mean is not None
    torch.testing.assert_close(first.running_mean, expected)
    assert first.momentum == 0.1


def test_a_peer_that_fails_is_a_row_with_its_error() -> None:
    cell = measure([FLOAT, Peer("broken", broken), Peer("idle", idle)], "float32", BATCH, 1, SILENT)
    assert cell.failures == [
        Failure("broken", "ValueError: no such layer"),
        Failure("idle", "RuntimeError: 3 parameters have no gradient, 'conv1.weight' first"),
    ]
    [row] = rows(cell)
    assert (row.peer, row.of_float, row.of_zeropoint) == ("float", 1.0, None)
    assert "| broken: ValueError: no such layer | - | - | - | - |" in table(cell)


SILENT = Console(quiet=True)


def broken(model: nn.Module, calibration: list[Tensor]) -> nn.Module:
    raise ValueError("no such layer")


def idle(model: nn.Module, calibration: list[Tensor]) -> nn.Module:
    """A network whose first layers are cut off."""

    class Cut(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv1, self.bn1 = model.get_submodule("conv1"), model.get_submodule("bn1")
            self.fc = nn.Linear(3, 10)

        def forward(self, x: Tensor) -> Tensor:
            logits: Tensor = self.fc(x.mean((2, 3)))
            return logits

    return Cut()


def test_a_loss_that_is_not_finite_is_an_error() -> None:
    def endless(model: nn.Module, calibration: list[Tensor]) -> nn.Module:
        module = FLOAT.prepare(model, calibration)
        for parameter in module.parameters():
            nn.init.constant_(parameter, torch.inf)
        return module

    cell = measure([Peer("endless", endless)], "float32", BATCH, 1, SILENT)
    assert cell.failures == [Failure("endless", "RuntimeError: the loss is not finite")]


def test_costs_are_medians_over_the_rounds_of_ratios_within_a_round() -> None:
    def timing(peer: str, *seconds: float) -> Timing:
        return Timing(peer, 21, 21, [[each] for each in seconds])

    # The second round was slow for all, the third for one of them.
    cell = Cell(
        "float32",
        0.0,
        [timing("float", 0.25, 1.0, 0.25), timing("zeropoint", 0.5, 2.0, 1.0)],
        [],
    )
    assert rows(cell) == [
        Row("float", 250.0, 1.0, 0.5, 21, 21),
        Row("zeropoint", 1000.0, 2.0, 1.0, 21, 21),
    ]


def test_an_unknown_peer_is_told_the_known_ones() -> None:
    with pytest.raises(ValueError, match="there is no peer 'none'; the peers are 'float', 'zero"):
        peer_named("none")
