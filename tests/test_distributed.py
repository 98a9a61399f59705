"""Two processes with gloo on this machine, beside one with all the data."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import backward
from torch.multiprocessing.spawn import spawn
from torch.nn.parallel import DistributedDataParallel

import zeropoint as zp
from tests.nets import MobileNetLike, Residual, images
from tests.train.training import recipe, settled
from zeropoint import distributed
from zeropoint.observe.min_max import MinMax
from zeropoint.observe.percentile import Percentile
from zeropoint.recipe import Recipe, TensorSpec
from zeropoint.train import CurrentRange, Folded, MovingRange, reestimate_batch_norm
from zeropoint.train.module import QuantizationAware

RANKS = 2
BATCHES = [images(8, seed=seed) * (1 + seed % 3) for seed in range(6)]
STEPS = 3
RANGES: dict[str, Any] = {"weights": CurrentRange(), "activations": MovingRange(0.5)}
METHODS: dict[str, dict[str, Any]] = {"learned": {}, "ranges": RANGES}
OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "learned": lambda parameters: torch.optim.Adam(parameters, 5e-3),
    "ranges": lambda parameters: torch.optim.SGD(parameters, 0.02, momentum=0.9),
}
GPTQ = Recipe(equalize=False)
NEAREST = replace(GPTQ, gptq=False)
RECIPES = {
    "mse": NEAREST,
    "min and max": replace(NEAREST, activations=TensorSpec(4, symmetric=True, calibrator=MinMax())),
    "percentile": replace(NEAREST, activations=TensorSpec(calibrator=Percentile(99.0))),
}

Result = dict[str, Any]
State = dict[str, Tensor]


def share_of(rank: int) -> list[Tensor]:
    """Every second batch, as a DistributedSampler would cut them."""
    return BATCHES[rank::RANKS]


# --- what each process does ----------------------------------------------------------------------


def integers(q: zp.QuantizedModel) -> Result:
    """All that makes the program: its text, its grids and its constants."""
    return {"text": str(q.program), "plan": str(q.plan), **q.program.graph.constants}


def histograms(statistics: zp.Statistics) -> Result:
    """All that does not remember the order of the batches, as moving averages do."""
    found: Result = {"samples": statistics.samples}
    for name, observed in statistics.values.items():
        histogram = observed.observation.histogram
        found[name] = histogram.counts
        numbers = (histogram.low, histogram.high, histogram.exponent, histogram.first)
        found[f"{name}, numbers"] = (*numbers, histogram.zeros)
    return found


def calibrated(batches: list[Tensor]) -> dict[str, Result]:
    """Programs, statistics and the start of a training, from these batches."""
    made = {
        name: integers(zp.quantize(settled(Residual()), batches, wish, engine="reference"))
        for name, wish in RECIPES.items()
    }
    made["gptq"] = integers(zp.quantize(settled(Residual()), batches, GPTQ, engine="reference"))
    equalized = zp.quantize(settled(Residual()), batches, engine="reference")
    made["equalized"] = integers(equalized) | dict(equalized.program.levels)
    made["statistics"] = histograms(zp.observe(settled(Residual()), batches))
    qat = zp.prepare_qat(settled(Residual()), batches, recipe(4), engine="reference")
    made["training"] = dict(qat.state_dict())
    return made


def trained(methods: str, batches: list[Tensor]) -> list[State]:
    """The state after each step, in DistributedDataParallel where there is more than one process.

    Folded, since batch norms see the batch of their own process.
    """
    torch.manual_seed(0)
    qat = zp.prepare_qat(
        settled(Residual()), batches, recipe(4), batch_norm=Folded(), engine="reference",
        **METHODS[methods],
    )  # fmt: skip
    return _steps(qat.train(), methods, batches)


def trained_mobilenet(methods: str, batches: list[Tensor]) -> list[State]:
    """With batch norms and dropout."""
    qat = zp.prepare_qat(
        settled(MobileNetLike()), batches, recipe(8), engine="reference", **METHODS[methods]
    )
    return _steps(qat.train(), methods, batches)


def _steps(qat: QuantizationAware, methods: str, batches: list[Tensor]) -> list[State]:
    alone = distributed.processes() == 1
    model = qat if alone else DistributedDataParallel(qat)
    optimizer, states = OPTIMIZERS[methods](qat.parameters()), []
    for step in range(STEPS):
        x = torch.cat(BATCHES[2 * step : 2 * step + 2]) if alone else batches[step]
        outputs = model(x)
        labels = torch.arange(8).repeat(len(x) // 8) % outputs.shape[1]
        optimizer.zero_grad()
        backward(F.cross_entropy(outputs, labels))
        optimizer.step()
        states.append({name: tensor.clone() for name, tensor in qat.state_dict().items()})
    return states


def reestimated(batches: list[Tensor]) -> State:
    qat = zp.prepare_qat(settled(Residual()), batches, recipe(4), engine="reference")
    reestimate_batch_norm(qat, batches)
    return dict(qat.state_dict())


def small_things(rank: int) -> Result:
    """The functions of distributed.py themselves."""
    own = torch.arange(6).reshape(3, 2)[: 3 - rank] + 10 * rank
    return {
        "processes": distributed.processes(),
        "share": [distributed.share(count) for count in (5, 6)],
        "largest": distributed.largest(torch.tensor([1.0, -rank])),
        "mean": distributed.mean(torch.tensor([1.0, float(rank)])),
        "total": distributed.total(3 + rank),
        "gathered": distributed.gathered(own),
        "turned": distributed.gathered(own.T.contiguous().T),
    }


def worker(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo",
        init_method=f"file://{folder}/store",
        rank=rank,
        world_size=RANKS,
        timeout=timedelta(minutes=2),
    )
    batches = share_of(rank)
    found = {
        "small": small_things(rank),
        "calibrated": calibrated(batches),
        "learned": trained("learned", batches),
        "ranges": trained("ranges", batches),
        "mobilenet, learned": trained_mobilenet("learned", batches),
        "mobilenet, ranges": trained_mobilenet("ranges", batches),
        "reestimated": reestimated(batches),
    }
    torch.save(found, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


# --- what they found -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[Result]:
    """The results of both processes."""
    if not (dist.is_available() and dist.is_gloo_available()):
        pytest.skip("torch was built without gloo")
    folder: Path = tmp_path_factory.mktemp("ranks")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        if Path("/sys/class/net/lo").exists():
            patch.setenv("GLOO_SOCKET_IFNAME", "lo")
        spawn(worker, (str(folder),), nprocs=RANKS)  # type: ignore[no-untyped-call]  # torch's
    return [torch.load(folder / f"{rank}.pt", weights_only=False) for rank in range(RANKS)]


def assert_same(found: Result, expected: Result) -> None:
    assert found.keys() == expected.keys()
    for name, wanted in expected.items():
        same = torch.equal(found[name], wanted) if isinstance(wanted, Tensor) else (
            found[name] == wanted
        )  # fmt: skip
        assert same, name


@pytest.mark.parametrize("what", [*RECIPES, "statistics", "training"])
def test_half_the_data_each_makes_the_plan_of_all_of_it(ranks: list[Result], what: str) -> None:
    """To the bit, and in each process."""
    expected = alone_calibrated()[what]
    for found in ranks:
        assert_same(found["calibrated"][what], expected)


def test_all_processes_round_weights_alike(ranks: list[Result]) -> None:
    """As one process with all the data, but for sums of float32 in another order."""
    first, second = (found["calibrated"]["gptq"] for found in ranks)
    assert_same(first, second)
    alone, nearest = (alone_calibrated()[name] for name in ("gptq", "mse"))
    assert first["plan"] == alone["plan"]
    weights = [name for name in first if name.endswith("weight")]
    others = sum(int((first[name] != alone[name]).sum()) for name in weights)
    moved = sum(int((alone[name] != nearest[name]).sum()) for name in weights)
    assert others < moved / 4


def test_all_processes_equalize_alike(ranks: list[Result]) -> None:
    """By the largest channels that any of them has seen in its own first images."""
    first, second = (found["calibrated"]["equalized"] for found in ranks)
    assert_same(first, second)
    levels = [x for x in first.values() if isinstance(x, Tensor) and x.dtype == torch.uint8]
    assert any(bool(level.any()) for level in levels)


ALONE: dict[str, Any] = {}


def alone_calibrated() -> dict[str, Result]:
    """One process with all the data."""
    if not ALONE:
        ALONE.update(calibrated(BATCHES))
    return ALONE


@pytest.mark.parametrize("methods", METHODS)
def test_all_processes_hold_the_same_state_after_every_step(
    ranks: list[Result], methods: str
) -> None:
    first, second = (found[methods] for found in ranks)
    assert len(first) == STEPS
    for step, (one, other) in enumerate(zip(first, second, strict=True)):
        assert_same(one, other)
        assert int(one["steps"]) == step + 1
    assert not torch.equal(first[0]["fc.weight"], first[-1]["fc.weight"])


@pytest.mark.parametrize("methods", METHODS)
def test_with_batch_norms_and_dropout_their_grids_are_the_same_too(
    ranks: list[Result], methods: str
) -> None:
    for one, other in zip(*(found[f"mobilenet, {methods}"] for found in ranks), strict=True):
        same = [name for name in one if "running_" not in name]
        assert any("fake_quantizers" in name for name in same)
        assert_same({name: one[name] for name in same}, {name: other[name] for name in same})


@pytest.mark.parametrize("methods", METHODS)
def test_they_train_as_one_process_does_on_all_the_data(ranks: list[Result], methods: str) -> None:
    """But for sums in another order."""
    for found, expected in zip(ranks[0][methods], trained(methods, BATCHES), strict=True):
        for name, tensor in expected.items():
            if tensor.is_floating_point():
                torch.testing.assert_close(found[name], tensor, rtol=0.01, atol=1e-3)


def test_ranges_move_by_what_all_processes_have_seen(ranks: list[Result]) -> None:
    """After the first step, in which all have the same weights, to the bit."""
    found, expected = ranks[0]["ranges"][0], trained("ranges", BATCHES)[0]
    ends = [name for name in expected if name.endswith((".ends", ".scale", ".zero_point"))]
    assert len(ends) == 3 * 8
    assert_same({name: found[name] for name in ends}, {name: expected[name] for name in ends})


def test_batch_norms_are_measured_over_the_data_of_all(ranks: list[Result]) -> None:
    first, second = (found["reestimated"] for found in ranks)
    assert_same(first, second)
    for name, tensor in reestimated(BATCHES).items():
        if "running_" in name:
            torch.testing.assert_close(first[name], tensor)


# --- the functions themselves --------------------------------------------------------------------


def test_several_processes_agree_on_sums_means_and_extremes(ranks: list[Result]) -> None:
    for rank, found in enumerate(result["small"] for result in ranks):
        assert found["processes"] == 2
        assert found["share"] == [3 - rank, 3]
        assert found["largest"].tolist() == [1.0, 0.0]
        assert found["mean"].tolist() == [1.0, 0.5]
        assert found["total"] == 7
        expected = [[[0, 1], [2, 3], [4, 5]], [[10, 11], [12, 13]]]
        assert [part.tolist() for part in found["gathered"]] == expected
        assert [part.tolist() for part in found["turned"]] == expected


def test_one_process_agrees_with_itself() -> None:
    x = torch.tensor([1.0, 2.0])
    assert distributed.processes() == 1
    assert distributed.share(5) == 5
    assert distributed.total(5) == 5
    assert distributed.largest(x) is x
    assert distributed.mean(x) is x
    assert distributed.gathered(x) == [x]


def test_without_torch_distributed_there_is_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dist, "is_available", lambda: False)
    assert distributed.processes() == 1


def test_nccl_gets_its_tensors_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Observations are on the CPU, where NCCL takes nothing."""
    asked: list[str] = []

    def device(kind: str) -> str:
        asked.append(kind)
        return "cpu"

    def gather(parts: list[Tensor], x: Tensor) -> None:
        for part in parts:
            part.copy_(x)

    monkeypatch.setattr(distributed, "processes", lambda: 2)
    monkeypatch.setattr(dist, "get_backend", lambda: "nccl")
    monkeypatch.setattr(dist, "all_gather", gather)
    monkeypatch.setattr(torch, "device", device)
    assert [part.tolist() for part in distributed._all(torch.ones(3))] == 2 * [[1.0, 1.0, 1.0]]
    assert asked == ["cuda"]
