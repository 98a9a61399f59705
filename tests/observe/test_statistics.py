import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save, save_file
from torch import Tensor

from tests.observe.data import ODD, REALISTIC, observed
from zeropoint.container import container_of, parsed
from zeropoint.errors import CalibrationError, FileError, RecipeError, ZeropointError
from zeropoint.observe.best import CALIBRATORS
from zeropoint.observe.observation import Observation
from zeropoint.observe.statistics import KIND, Observed, Statistics
from zeropoint.sealed import digest_of

WEIGHTS = {"conv.weight": 1, "conv.bias": 2}


def statistics_of(**observations: Observation) -> Statistics:
    values = {name: Observed("conv", ("N", 4), seen) for name, seen in observations.items()}
    return Statistics(values, ((8, 4),), 8, WEIGHTS)


@pytest.fixture
def statistics() -> Statistics:
    return statistics_of(x=observed(REALISTIC["silu"], REALISTIC["relu"]), y=observed(ODD["huge"]))


# --- shown -------------------------------------------------------------------------------------


def test_a_value_prints_with_each_calibrators_range_and_decibels_and_the_best_marked() -> None:
    lines = str(statistics_of(x=observed(REALISTIC["relu"]))).splitlines()
    assert "Activations of 8 samples on 8-bit affine grids" in lines[0]
    for calibrator in CALIBRATORS:
        assert type(calibrator).__name__ in lines[2]
    ranges, decibels = ([cell.strip() for cell in line.split("│")[1:-1]] for line in lines[5:7])
    assert ranges[:4] == ["x", "0..4.1", "0..4.1", "0..3.01"]
    assert decibels == ["", "46.8", "46.8", "33.0", "44.6", "39.3", "* 46.8"]


def test_the_table_is_of_as_many_bits_as_one_asks_for(statistics: Statistics) -> None:
    narrow, wide = (statistics.choices(bits)["x"][CALIBRATORS[0]].sqnr_db for bits in (4, 8))
    assert 20 < wide - narrow < 28
    assert str(statistics.table(4, symmetric=True).title) == (
        "Activations of 8 samples on 4-bit symmetric grids"
    )
    with pytest.raises(RecipeError, match="bits=9 is not a width that zeropoint quantizes to; use"):
        statistics.table(bits=9)


def test_odd_values_print_as_well() -> None:
    odd = {name.replace(" ", "_"): observed(data) for name, data in ODD.items()}
    text = str(statistics_of(**odd))
    assert "nan" not in text
    assert "a_constant" in text


def test_the_same_is_there_as_json(statistics: Statistics) -> None:
    data = json.loads(json.dumps(statistics.to_dict(bits=4), allow_nan=False))
    assert (data["samples"], data["bits"], data["input_shapes"]) == (8, 4, [[8, 4]])
    x = data["values"]["x"]
    assert (x["layer"], x["shape"], x["elements"]) == ("conv", ["N", 4], 40_000)
    assert x["zeros"] == (REALISTIC["relu"] == 0).sum() + (REALISTIC["silu"] == 0).sum()
    assert x["calibrators"]["MinMax()"]["low"] == x["low"]
    assert x["calibrators"]["MSE(p=2.0)"]["sqnr_db"] > x["calibrators"]["MinMax()"]["sqnr_db"]
    perfect = statistics_of(x=observed(torch.zeros(3))).to_dict()
    assert perfect["values"]["x"]["calibrators"]["MinMax()"]["sqnr_db"] is None


def test_a_plot_shows_the_histogram_and_two_lines_a_calibrator(statistics: Statistics) -> None:
    (axes,) = statistics.plot("x").axes
    assert axes.get_title() == "x"
    assert axes.get_yscale() == "log"
    assert len(axes.lines) == 2 * len(CALIBRATORS)
    assert [axes.get_title() for axes in statistics.plot().axes] == ["x", "y"]


def test_a_plot_of_no_value_names_those_there_are(statistics: Statistics) -> None:
    with pytest.raises(CalibrationError, match=r"there is no value 'z'; the values are x, y"):
        statistics.plot("z")


def test_a_plot_without_matplotlib_names_the_extra(
    statistics: Statistics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ZeropointError, match=r"pip install 'zeropoint\[report\]'"):
        statistics.plot("x")


# --- merged ------------------------------------------------------------------------------------


def test_the_halves_merge_to_the_whole_and_stay_as_they_were() -> None:
    batches = torch.split(REALISTIC["silu"], 1000)
    one, other, whole = (
        statistics_of(x=observed(*part)) for part in (batches[:8], batches[8:], batches)
    )
    merged = one.merge(other)
    assert merged.samples == 16
    assert merged.to_dict()["values"] == whole.to_dict()["values"]
    assert one.to_dict() == statistics_of(x=observed(*batches[:8])).to_dict()


def test_statistics_of_different_models_do_not_merge(statistics: Statistics) -> None:
    with pytest.raises(CalibrationError, match=r"another model: where the model has 'y' of layer"):
        statistics.merge(statistics_of(x=observed(ODD["zeros"])))
    with pytest.raises(CalibrationError, match=r"another model: it has no value 'y'; observe"):
        statistics_of(x=observed(ODD["zeros"])).merge(statistics)


def test_the_first_difference_is_named(statistics: Statistics) -> None:
    places = dict(statistics.places)
    statistics.check(places, WEIGHTS)
    with pytest.raises(CalibrationError) as raised:
        statistics.check({**places, "y": ("fc", ("N", 5))}, WEIGHTS)
    assert str(raised.value) == (
        "the statistics are of another model: where the model has 'y' of layer 'fc' of shape "
        "(N, 5), they have 'y' of layer 'conv' of shape (N, 4); "
        "observe this model: zp.observe(model, loader)"
    )
    with pytest.raises(CalibrationError, match=r"of another model: it has no 'fc.bias'; observe"):
        statistics.check(places, {**WEIGHTS, "fc.bias": 1})
    with pytest.raises(CalibrationError, match=r"of another model: that has 'conv.bias'; observe"):
        statistics.check(places, {"conv.weight": 1})
    with pytest.raises(CalibrationError, match=r"of other weights: 'conv.bias' has changed since"):
        statistics.check(places, {**WEIGHTS, "conv.bias": 3})


# --- on disk -----------------------------------------------------------------------------------


@pytest.fixture
def file(statistics: Statistics, tmp_path: Path) -> Path:
    path = tmp_path / "a.safetensors"
    statistics.save(path)
    return path


def test_what_is_loaded_is_what_was_saved(statistics: Statistics, file: Path) -> None:
    loaded = Statistics.load(str(file))
    assert loaded.to_dict() == statistics.to_dict()
    assert loaded.places == statistics.places
    assert (loaded.weights, loaded.zeropoint) == (statistics.weights, statistics.zeropoint)
    for name, observation in statistics.observations.items():
        assert loaded.observations[name].lows == observation.lows
    assert loaded.merge(statistics).samples == 16


def test_odd_observations_survive_the_disk(tmp_path: Path) -> None:
    odd = statistics_of(**{name.replace(" ", "_"): observed(data) for name, data in ODD.items()})
    odd.save(tmp_path / "a.safetensors")
    loaded = Statistics.load(tmp_path / "a.safetensors")
    assert loaded.to_dict() == odd.to_dict()
    assert loaded.observations["nothing"].histogram.low == math.inf


def test_the_file_is_small(file: Path) -> None:
    assert file.stat().st_size < 2 * 34_000


@pytest.mark.parametrize("place", [0.0, 0.3, 0.6, 0.99])
def test_a_damaged_byte_is_noticed(file: Path, place: float) -> None:
    content = bytearray(file.read_bytes())
    content[int(place * len(content))] ^= 4
    file.write_bytes(content)
    with pytest.raises(FileError, match=r"a.safetensors (was altered|is damaged)"):
        Statistics.load(file)


def without_format(path: Path) -> None:
    save_file({}, path, metadata={"zeropoint.statistics": "{}"})


def with_nonsense(path: Path) -> None:
    save_file({}, path, metadata={"zeropoint.statistics": "[1, 2"})


def of_somebody_else(path: Path) -> None:
    save_file({"a": torch.zeros(1)}, path)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "does not exist, or is no file"),
        (lambda path: path.mkdir(), "does not exist, or is no file"),
        (lambda path: path.write_bytes(b""), "is damaged or no .safetensors file"),
        (lambda path: path.write_bytes(b"PK" * 500), "is damaged or no .safetensors file"),
        (of_somebody_else, r"holds no statistics of zeropoint; write some with zp.observe"),
        (without_format, "has format None; this zeropoint reads format 2: observe again, or"),
        (with_nonsense, "is damaged: "),
    ],
)
def test_a_file_of_something_else_is_refused(
    make: Callable[[Path], object], message: str, tmp_path: Path
) -> None:
    make(tmp_path / "b.safetensors")
    with pytest.raises(FileError, match=message):
        Statistics.load(tmp_path / "b.safetensors")


def test_what_cannot_be_written_leaves_nothing_behind(
    statistics: Statistics, tmp_path: Path
) -> None:
    with pytest.raises(FileError, match="cannot be written: No such file or directory"):
        statistics.save(tmp_path / "nowhere" / "a.safetensors")
    assert not list(tmp_path.iterdir())


# --- a stranger's file, well made ----------------------------------------------------------------


def forged(content: bytes, change: Callable[[Any, dict[str, Tensor]], None]) -> bytes:
    """The statistics with something else in them, and the digest that belongs to it."""
    container = container_of(bytearray(content))
    body, tensors = parsed(container.metadata[KIND.key]), dict(container.tensors)
    del body["digest"]
    change(body, tensors)
    text = json.dumps({**body, "digest": digest_of(body, tensors)})
    return save(tensors, {KIND.key: text})


def of_x(**fields: Any) -> Callable[[Any, dict[str, Tensor]], None]:
    return lambda body, tensors: body["values"]["x"].update(fields)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda b, t: b.update(samples=-1), "samples is -1, and not an integer"),
        (lambda b, t: b.update(samples=True), "samples is True"),
        (lambda b, t: b.update(code="import os"), "'code', which no such file has"),
        (lambda b, t: b.update(input_shapes=[[2**31, 2**31]]), "have more than"),
        (lambda b, t: b.update(weights={"a": 0.5}), "weights.a is 0.5"),
        (lambda b, t: b.update(levels=["x"]), "it has no tensor 'x.level'"),
        (lambda b, t: b["values"].pop("x"), "belongs to nothing"),
        (lambda b, t: t.pop("x.counts"), "it has no tensor 'x.counts'"),
        (lambda b, t: t.update({"x.counts": t["x.counts"][:9].clone()}), "int64 of shape"),
        (lambda b, t: t.update({"x.counts": t["x.counts"].float()}), "float32 of shape"),
        (lambda b, t: t["x.counts"].neg_(), "the counts of 'x' are none"),
        (lambda b, t: t["x.counts"].fill_(2**62), "the counts of 'x' are none"),
        (lambda b, t: t["x.counts"].fill_(1), "not within its range"),
        (lambda b, t: t["x.counts"].zero_(), "not within its range"),
        (lambda b, t: t["x.extremes"].fill_(math.nan), "the extremes of 'x' are none"),
        (lambda b, t: t["x.extremes"].fill_(1e9), "not within its range"),
        (lambda b, t: t.update({"x.extremes": torch.zeros(2, 0)}), "not within its range"),
        (of_x(range=None), "has no range, and was seen"),
        (of_x(range=[math.inf, 0.0]), "not a finite number"),
        (of_x(range=[2.0, 1.0]), "not a range from low to high"),
        (of_x(range=[-1e30, 1e30]), "do not hold its range|not within"),
        (of_x(exponent=10**6), "not an integer"),
        (of_x(first=10**6), "not within its range"),
        (of_x(zeros=10**9), "more zeros than elements"),
        (of_x(axes=[7]), "not an integer from -2"),
        (of_x(axes=[0, 0]), "has one twice"),
        (of_x(axes=[1]), "it has no tensor 'x.sums.1'"),
        (of_x(layer=7), "not a text"),
        (of_x(shape=[-1]), "not an integer"),
    ],
)
def test_statistics_that_are_none_are_refused_in_words(
    statistics: Statistics, change: Callable[[Any, dict[str, Tensor]], None], words: str
) -> None:
    Statistics.loads(forged(statistics.dumps(), lambda body, tensors: None))
    with pytest.raises(FileError, match=words):
        Statistics.loads(forged(statistics.dumps(), change))
