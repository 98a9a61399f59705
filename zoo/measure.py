"""One network in this process, stage by stage; what is known is on disk after each stage.

    build       the module, its weights, float outputs
    quantize    zp.quantize on 256 calibration images: time, memory, coverage, islands
    run         64 other images: SQNR
    verify      oneDNN beside the reference, operator by operator, on one image
    metric      where there are trained weights
    auto        which engine is the fastest here that passes
    peers       torch.compile float, NNCF + OpenVINO int8, ONNX Runtime int8
    time        all of them in turns

A process that dies leaves the name of the stage in which it died.
"""

import time
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

import zeropoint as zp
from benchmarks.cell import one_line
from benchmarks.load import OtherLoad
from benchmarks.macs import multiply_accumulates
from benchmarks.peers import TORCH_COMPILE
from benchmarks.results import json_text, write
from zeropoint.program.coverage import Coverage
from zoo.memory import forget_peak, peak_mebibytes
from zoo.network import Network, Weights
from zoo.peers import (
    AUTO,
    ONEDNN,
    PEERS,
    Prepared,
    Row,
    Samples,
    compared,
    finite,
    outputs_of,
    prepare,
    sqnr_on,
    timed,
)
from zoo.weights import sane

CALIBRATION_IMAGES, TEST_IMAGES, BATCH = 256, 64, 16
SETTLING_BATCHES = 4
"""That seeded weights are made sane on."""

LARGEST_BATCH_MACS = 32e9
"""Where a batch has more, images go one by one."""

BUILD, QUANTIZE, DONE = "build", "quantize", "done"
TIMES, PEERS_TOO = "times", "peers"
"""What may be kept of an earlier result: the times, or all of what is not ours."""

Result = TypeVar("Result")


@dataclass(frozen=True)
class Settings:
    """`quick`: neither peers nor times. `without`: engines in which this process died before.

    `keep` is what stays as it is in the result `kept`: nothing, the times, or all of the peers.
    """

    threads: int
    quick: bool = False
    without: tuple[str, ...] = ()
    keep: str = ""
    kept: Mapping[str, Any] = field(default_factory=dict)


def measure(network: Network, settings: Settings, file: Path) -> None:
    """Everything about one network, written to `file` as it becomes known."""
    torch.set_num_threads(settings.threads)
    torch.manual_seed(0)
    _Measurement(network, settings, file).run()


class _Measurement:
    def __init__(self, network: Network, settings: Settings, file: Path) -> None:
        self.network, self.settings, self.file = network, settings, file
        self.found: dict[str, Any] = {
            "name": network.name,
            "family": network.family,
            "source": network.source,
            "task": network.task.value,
            "weights": network.weights.value,
            "convolutional": network.convolutional,
            "shape": list(network.shape),
            "quick": settings.quick,
            "kept": settings.keep,
        }

    def run(self) -> None:
        model = self.attempted(BUILD, self.build)
        q = None if model is None else self.attempted(QUANTIZE, lambda: self.quantize(model))
        if model is not None and q is not None:
            self.attempted("run", lambda: self.run_int8(q))
            self.attempted("verify", lambda: self.verify(q))
            if self.network.metric is not None:
                self.attempted("metric", lambda: self.metric(model, q))
        if model is not None and not self.settings.quick:
            self.attempted("engines", lambda: self.engines(model, q))
        self.at(DONE)

    def at(self, stage: str) -> None:
        """The stage that begins now, and all that is known, on disk."""
        self.found["stage"] = stage
        write(self.file, json_text(self.found))

    def attempted(self, stage: str, action: Callable[[], Result]) -> Result | None:
        """What the action returns; None, with its error in the result, if it raises one."""
        self.at(stage)
        begin = time.perf_counter()
        try:
            return action()
        except Exception as error:  # a network that fails is a row
            self.found.setdefault("failures", {})[stage] = one_line(error)
            return None
        finally:
            seconds = self.found.setdefault("seconds", {})
            seconds[stage] = round(time.perf_counter() - begin, 2)

    def inputs(self, count: int, split: str) -> Tensor:
        return self.network.inputs(self.network.shape, count, split)

    # --- the stages ------------------------------------------------------------------------------

    def build(self) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model = self.network.make().eval()
        self.calibration = list(torch.split(self.inputs(CALIBRATION_IMAGES, "train"), BATCH))
        if self.network.weights is Weights.SEEDED:
            model = sane(model, self.calibration[:SETTLING_BATCHES])
        images = self.inputs(TEST_IMAGES, "test")
        macs = multiply_accumulates(model, images[:1])
        batch = BATCH if macs * BATCH <= LARGEST_BATCH_MACS else 1
        inputs = torch.split(images, batch)
        with torch.no_grad():
            expected = [outputs_of(model(x)) for x in inputs]
        if not all(bool(y.isfinite().all()) for outputs in expected for y in outputs):
            raise ValueError("the float network's outputs are not finite")
        self.samples = Samples(inputs, expected)
        self.found["macs"] = macs
        self.found["parameters"] = sum(p.numel() for p in model.parameters())
        self.found["outputs"] = [list(y.shape[1:]) for y in expected[0]]
        self.found["batch"] = batch
        return model

    def quantize(self, model: nn.Module) -> zp.QuantizedModel:
        forget_peak()
        begin = time.perf_counter()
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            q = zp.quantize(model, self.calibration, engine="onednn")
        self.found["quantize_seconds"] = round(time.perf_counter() - begin, 2)
        self.found["stages"] = {stage: round(s, 3) for stage, s in q.timings.items()}
        self.found["peak_mebibytes"] = peak_mebibytes()
        ours = (Warning(str(each.message)) for each in told if is_ours(each))
        self.found["warnings"] = sorted({one_line(each) for each in ours})
        self.found["coverage"] = summary(q.coverage())
        return q

    def run_int8(self, q: zp.QuantizedModel) -> None:
        self.found["sqnr_db"] = finite(sqnr_on(self.samples, q))

    def verify(self, q: zp.QuantizedModel) -> None:
        (check,) = zp.verify(q, [self.samples.first[:1]], ["onednn"], samples=1).checks
        worst = check.worst
        self.found["verify"] = {
            "passes": check.passes,
            "integers": check.integers.compared,
            "differing": check.integers.differing,
            "largest_step": check.integers.largest,
            "worst": "" if worst is None else f"{worst.operator} {worst.layer}".strip(),
            "outputs_difference": float(f"{check.relative_difference:.3g}"),
            "failure": check.failure,
        }

    def metric(self, model: nn.Module, q: zp.QuantizedModel) -> None:
        assert self.network.metric is not None
        with torch.no_grad():
            scores = self.network.metric(model, q)
        self.found["metric"] = {name: round(value, 3) for name, value in scores.items()}

    def engines(self, model: nn.Module, q: zp.QuantizedModel | None) -> None:
        """Every engine's row, with its time if it could be prepared."""
        attempts: list[Prepared | Row] = []
        if q is not None:
            attempts += self.own_engines(q)
        kept = self.kept_rows()
        for peer in PEERS:
            self.at(peer.name)
            if peer.name in kept:
                attempts.append(kept[peer.name])
                continue
            if peer.name in self.settings.without:
                attempts.append(Row(peer.name, "the process died while it was prepared"))
                continue
            attempts.append(
                prepare(peer.name, model, self.calibration, self.samples, self.settings.threads)
            )
        self.rows(attempts)
        if self.settings.kept:
            self.found["cores_used_by_others"] = self.settings.kept.get("cores_used_by_others", 0.0)
            return
        ready = [each for each in attempts if isinstance(each, Prepared)]
        self.at("time")
        with OtherLoad() as load:
            times = {row.engine: row for row in timed(ready)}
        self.found["cores_used_by_others"] = round(load.cores, 2)
        self.rows([times.get(row_of(each).engine, row_of(each)) for each in attempts])

    def own_engines(self, q: zp.QuantizedModel) -> list[Prepared | Row]:
        attempts = [compared(ONEDNN, q, self.samples, self.found["quantize_seconds"])]
        self.at(AUTO)
        if AUTO in self.settings.without:
            return [*attempts, Row(AUTO, "the process died while it was prepared")]
        known = self.settings.kept.get("auto", {})
        engine = known.get("engine", "auto")
        begin = time.perf_counter()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                chosen = q.with_engine(engine, batch=self.samples.first)
        except Exception as error:  # a network that fails is a row
            return [*attempts, Row(AUTO, one_line(error))]
        self.found["auto"] = known or {
            "engine": chosen.engine,
            "candidates": {
                candidate.engine: candidate.verdict
                for candidate in (chosen.choice.candidates if chosen.choice else ())
            },
        }
        if chosen.engine in ("onednn", "reference"):  # timed already; never to be timed
            return attempts
        seconds = time.perf_counter() - begin
        return [*attempts, compared(AUTO, chosen, self.samples, seconds)]

    def rows(self, rows: Sequence[Prepared | Row]) -> None:
        times = {row["engine"]: row for row in self.settings.kept.get("engines", ())}
        self.found["engines"] = [
            row_of(row).with_times(times.get(row_of(row).engine, {})).to_dict() for row in rows
        ]

    def kept_rows(self) -> dict[str, Row]:
        """The peers that are not measured anew; of a float one there is only the time."""
        rows = [Row(**row) for row in self.settings.kept.get("engines", ())]
        peers = (
            {peer.name for peer in PEERS}
            if self.settings.keep == PEERS_TOO
            else {TORCH_COMPILE.name}
        )
        return {row.engine: row for row in rows if row.engine in peers}


def row_of(attempt: Prepared | Row) -> Row:
    return attempt.row if isinstance(attempt, Prepared) else attempt


def is_ours(warning: warnings.WarningMessage) -> bool:
    return "zeropoint" in str(warning.category) or issubclass(warning.category, UserWarning)


def summary(coverage: Coverage) -> dict[str, Any]:
    """Shares, and the islands by operator and reason with their count and one of the layers."""
    kinds = Counter((island.operator, island.reason) for island in coverage.islands)
    places = {(i.operator, i.reason): i.layer or i.line for i in reversed(coverage.islands)}
    return {
        "layers": coverage.layers,
        "integer_layers": coverage.integer_layers,
        "macs": coverage.macs,
        "integer_macs": coverage.integer_macs,
        "share_of_macs": round(coverage.share_of_macs, 6),
        "islands": [
            {
                "operator": operator,
                "reason": reason,
                "count": count,
                "first": places[operator, reason],
            }
            for (operator, reason), count in kinds.most_common()
        ],
    }
