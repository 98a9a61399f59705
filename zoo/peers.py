"""The engines that the zoo is held against, and zeropoint's own, on one network.

Every engine is prepared alone, compared with the float outputs, and kept for the timing. What an
engine raises becomes its row.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.cell import one_line
from benchmarks.interleave import Contestant, interleave, median_seconds, speed
from benchmarks.peers import OPENVINO_INT8, TORCH_COMPILE, peer_named
from benchmarks.quiet import quiet
from zeropoint.graph.structure import leaves_of

ONNXRUNTIME_INT8 = peer_named("onnxruntime int8")
PEERS = (TORCH_COMPILE, OPENVINO_INT8, ONNXRUNTIME_INT8)
ONEDNN, AUTO = "zeropoint onednn", "zeropoint auto"
ROUNDS = 5
TIMES = ("milliseconds", "speed_vs_float", "speed_vs_openvino")


@dataclass(frozen=True)
class Row:
    """One engine on one network. `sqnr_db` is that of its worst output; None where it is exact.

    `speed_vs_float`: how many times as fast as torch.compile, in the median of the rounds.
    """

    engine: str
    failure: str = ""
    prepare_seconds: float | None = None
    sqnr_db: float | None = None
    milliseconds: float | None = None
    speed_vs_float: float | None = None
    speed_vs_openvino: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """The row as JSON data."""
        return asdict(self)

    def with_times(self, known: Mapping[str, Any]) -> "Row":
        """The row, with the times of another that is JSON data."""
        return replace(self, **{name: known[name] for name in TIMES if name in known})


@dataclass(frozen=True)
class Prepared:
    """An engine that ran: what it needs to be timed."""

    row: Row
    call: Callable[[], object]


@dataclass(frozen=True)
class Samples:
    """What engines are compared on: inputs of one shape, and the float outputs for each of them."""

    inputs: Sequence[Tensor]
    expected: Sequence[Sequence[Tensor]]

    @property
    def first(self) -> Tensor:
        """The input that engines are prepared for and timed on."""
        return self.inputs[0]


class Whole(nn.Module):
    """Around a Sequential: NNCF adds a child to a network, and a Sequential calls them all."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Any:  # nested as the network's outputs are
        return self.model(x)


def outputs_of(found: object) -> list[Tensor]:
    """The tensors of a network's outputs, in order, as float32."""
    leaves = [torch.as_tensor(leaf) for leaf in leaves_of(found)]
    return [leaf.detach().float() for leaf in leaves if leaf.is_floating_point()]


def sqnr(expected: Sequence[Tensor], found: Sequence[Tensor]) -> float:
    """10 log10 of the signal's energy over the error's, for the worst output, in dB.

    Infinite where they agree, zero where the signal is.
    """
    return min(map(one_sqnr, expected, found), default=math.inf)


def one_sqnr(expected: Tensor, found: Tensor) -> float:
    signal = expected.double().square().sum().item()
    noise = (found.double() - expected.double()).square().sum().item()
    if noise == 0:
        return math.inf
    return 10 * math.log10(signal / noise) if signal else 0.0


def finite(decibel: float) -> float | None:
    """For JSON, which has no infinity: None is exact."""
    return round(decibel, 3) if math.isfinite(decibel) else None


def sqnr_on(samples: Samples, engine: Callable[[Tensor], object]) -> float:
    """That of all samples together; ValueError for outputs of other shapes or not finite."""
    found = [[y.clone() for y in outputs_of(engine(x))] for x in samples.inputs]
    for wanted, outputs in zip(samples.expected, found, strict=True):
        if [y.shape for y in wanted] != [y.shape for y in outputs]:
            raise ValueError(f"its outputs have the shapes {[tuple(y.shape) for y in outputs]}")
        if not all(bool(y.isfinite().all()) for y in outputs):
            raise ValueError("an output is not finite")
    return sqnr(joined(samples.expected), joined(found))


def joined(calls: Sequence[Sequence[Tensor]]) -> list[Tensor]:
    """Each output of several calls as one, flat."""
    return [torch.cat([y.flatten() for y in output]) for output in zip(*calls, strict=True)]


def compared(
    name: str, engine: Callable[[Tensor], object], samples: Samples, seconds: float
) -> Prepared | Row:
    """An engine beside the float outputs."""
    try:
        with quiet():
            decibel = sqnr_on(samples, engine)
    except Exception as error:  # whatever an engine raises becomes its row
        return Row(name, one_line(error))
    row = Row(name, prepare_seconds=round(seconds, 2), sqnr_db=finite(decibel))
    return Prepared(row, lambda: engine(samples.first))


def prepare(
    name: str, model: nn.Module, calibration: list[Tensor], samples: Samples, threads: int
) -> Prepared | Row:
    """The peer of that name on the model, for inputs of the samples' shape."""
    begin = time.perf_counter()
    whole = Whole(model) if isinstance(model, nn.Sequential) else model
    try:
        with quiet():
            peer = peer_named(name)
            runner = peer.prepare(whole, calibration, example=samples.first, threads=threads)
    except Exception as error:  # as above
        return Row(name, one_line(error))
    return compared(name, runner, samples, time.perf_counter() - begin)


def timed(prepared: Sequence[Prepared]) -> list[Row]:
    """The rows with their times, measured in turns."""
    contestants = [Contestant(each.row.engine, each.call) for each in prepared]
    with quiet():
        seconds = interleave(contestants, range(ROUNDS))
    float_bursts = seconds.get(TORCH_COMPILE.name)
    openvino_bursts = seconds.get(OPENVINO_INT8.name)
    return [
        Row(
            each.row.engine,
            prepare_seconds=each.row.prepare_seconds,
            sqnr_db=each.row.sqnr_db,
            milliseconds=round(1000 * median_seconds(bursts), 3),
            speed_vs_float=ratio(bursts, float_bursts),
            speed_vs_openvino=ratio(bursts, openvino_bursts),
        )
        for each in prepared
        for bursts in (seconds[each.row.engine],)
    ]


def ratio(bursts: list[list[float]], against: list[list[float]] | None) -> float | None:
    return None if against is None else round(speed(bursts, against), 3)
