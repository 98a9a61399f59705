import math
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from tests.nets import images
from zeropoint.batches import (
    calibration_batches,
    check_inputs,
    first_and_all,
    input_names,
    inputs_of,
    labels_of,
    length_of,
    misfit,
)
from zeropoint.errors import CalibrationError

X, Y, LABELS = images(2), images(2, seed=1), torch.tensor([3, 4])


class One(nn.Module):
    def forward(self, image: Tensor, scale: float = 1.0, *, flag: bool = False) -> Tensor:
        return image


class Two(nn.Module):
    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        return left + right


class Any_(nn.Module):
    def forward(self, *inputs: Tensor) -> Tensor:
        return inputs[0]


def assert_same(found: tuple[Tensor, ...], *expected: Tensor) -> None:
    assert len(found) == len(expected)
    assert all(one is other for one, other in zip(found, expected, strict=True))


# --- inputs and labels -------------------------------------------------------------------------


def test_the_inputs_are_the_parameters_that_forward_requires() -> None:
    assert input_names(One()) == ("image",)
    assert input_names(Two()) == ("left", "right")
    assert input_names(Any_()) == ("x",)
    assert input_names(nn.Sequential()) == ("input",)


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_a_traced_model_has_no_parameters_to_look_at() -> None:
    assert input_names(torch.jit.trace(nn.ReLU(), X)) == ("x",)  # type: ignore[no-untyped-call]  # torch leaves it unannotated


@pytest.mark.parametrize(
    "batch", [X, (X,), [X], (X, LABELS), [X, LABELS], {"image": X, "label": LABELS}]
)
def test_one_input_is_found_in_any_batch(batch: object) -> None:
    assert_same(inputs_of(batch, ("image",)), X)


@pytest.mark.parametrize(
    "batch",
    [
        (X, Y),
        [X, Y, LABELS],
        {"right": Y, "left": X, "label": LABELS},
        OrderedDict(label=LABELS, a=X, b=Y),  # unknown names: real numbers in their order
    ],
)
def test_several_inputs_are_found_in_any_batch(batch: object) -> None:
    assert_same(inputs_of(batch, ("left", "right")), X, Y)


@pytest.mark.parametrize(
    ("batch", "expected"),
    [
        (X, None),
        ((X,), None),
        ((X, LABELS), LABELS),
        ([X, LABELS, "path"], LABELS),
        ({"image": X}, None),
        ({"image": X, "label": LABELS}, LABELS),
        ({"label": LABELS, "image": X}, LABELS),
        ({"label": LABELS, "pixels": X}, LABELS),
    ],
)
def test_labels_are_what_comes_besides_the_inputs(batch: object, expected: object) -> None:
    assert labels_of(batch, ("image",)) is expected


@pytest.mark.parametrize(
    ("batch", "described"),
    [
        (X, "a Tensor"),
        ((X,), "a tuple of Tensor"),
        ([X, "path"], "a list of Tensor, str"),
        ({"left": X}, "a dict with the keys 'left'"),
        ("hello", "a str"),
        (3, "a int"),
        (None, "a NoneType"),
    ],
)
def test_a_batch_without_the_inputs_is_described(batch: object, described: str) -> None:
    with pytest.raises(CalibrationError) as raised:
        inputs_of(batch, ("left", "right"))
    assert str(raised.value) == (
        f"the loader yields {described}; the model takes 2 tensor(s) (left, right): "
        "yield x, (x, y) or a dict"
    )


# --- loaders -----------------------------------------------------------------------------------


def test_looking_at_the_first_batch_loses_none() -> None:
    first, batches = first_and_all(iter([1, 2, 3]))
    assert first == 1
    assert list(batches) == [1, 2, 3]


def test_a_loader_without_batches_is_refused() -> None:
    with pytest.raises(CalibrationError, match=r"yields no batch; .* needs some real images"):
        first_and_all([])


def calibration(
    loader: object, samples: int, shapes: Mapping[str, tuple[int | str, ...]] | None = None
) -> list[tuple[Tensor, ...]]:
    expected = shapes or {"x": ("N", 3, "H", "W")}
    return list(calibration_batches(loader, expected, samples, lambda done: None))  # type: ignore[arg-type]  # any iterable


def test_samples_are_counted_and_not_batches() -> None:
    assert [len(x) for (x,) in calibration([images(4)] * 5, 10)] == [4, 4, 2]
    assert [len(x) for (x,) in calibration([images(4), images(1)], 10)] == [4, 1]
    assert [len(x) for (x,) in calibration([images(4)], 4)] == [4]


def test_no_batch_is_asked_for_beyond_the_samples() -> None:
    def loader() -> Iterator[Tensor]:
        yield images(4)
        raise AssertionError("one batch was enough")

    assert [len(x) for (x,) in calibration(loader(), 3)] == [3]


def test_progress_is_told_in_samples() -> None:
    told: list[int] = []
    batches: list[Any] = [images(4), images(4)]
    list(calibration_batches(batches, {"x": ("N", 3, 8, 8)}, 7, told.append))
    assert told == [4, 7]


def test_all_inputs_of_the_last_batch_are_cut() -> None:
    shapes: dict[str, tuple[int | str, ...]] = {"x": ("N", 3, 8, 8), "y": ("N", 3, 8, 8)}
    ((x, y),) = calibration([(images(4), images(4))], 3, shapes)
    assert len(x) == len(y) == 3


def test_a_later_batch_of_another_shape_is_named() -> None:
    with pytest.raises(CalibrationError) as raised:
        calibration([images(4), images(4, channels=1)], 10)
    assert str(raised.value) == (
        "batch 1 of the loader has shape (4, 1, 8, 8); as far as batch 0 tells, the model takes "
        "(N, 3, H, W) for 'x'"
    )


def test_a_later_batch_of_another_size_is_fine_where_the_size_is_free() -> None:
    assert len(calibration([images(4), images(4, size=5)], 10)) == 2
    with pytest.raises(CalibrationError, match=r"batch 1 .* takes \(N, 3, 8, 8\) for 'x'"):
        calibration([images(4), images(4, size=5)], 10, {"x": ("N", 3, 8, 8)})


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (torch.zeros(4, 3, 8, 8, dtype=torch.uint8), "is uint8; the model takes float32: convert"),
        (torch.zeros(4, 3, 8, 8, dtype=torch.int64), "is int64; the model takes float32: convert"),
        (images().double(), "is float64; expected float32: use x.float()"),
        (images().half(), "is float16; expected float32: use x.float()"),
        (torch.zeros(0, 3, 8, 8), "is empty: its shape is (0, 3, 8, 8)"),
        (images() * torch.nan, "holds NaN or infinity; look at the data in it"),
        (images() / 0, "holds NaN or infinity; look at the data in it"),
    ],
)
def test_an_unusable_batch_is_named_with_what_is_wrong(bad: Tensor, words: str) -> None:
    with pytest.raises(CalibrationError) as raised:
        calibration([images(), images(), bad], 100)
    assert str(raised.value).startswith(f"batch 2 of the loader {words}")


def test_good_inputs_pass() -> None:
    check_inputs((X, Y), "batch 0")


# --- shapes ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "wrong"),
    [
        ([(8, 3, 9, 7), (8, 5)], None),
        ([(1, 3, 1, 1), (1, 5)], None),
        ([(0, 3, 9, 9), (0, 5)], None),
        ([(8, 4, 9, 9), (8, 5)], 0),
        ([(3, 9, 9), (8, 5)], 0),
        ([(8, 3, 9, 9), (7, 5)], 1),  # one N for both
        ([(8, 3, 9, 9), (8, 5, 1)], 1),
    ],
)
def test_a_shape_that_does_not_fit_is_found(
    found: list[tuple[int, ...]], wrong: int | None
) -> None:
    assert misfit(found, [("N", 3, "H", "W"), ("N", 5)]) == wrong


class Endless(IterableDataset[Tensor]):
    def __iter__(self) -> Iterator[Tensor]:
        while True:
            yield torch.zeros(3)


def test_the_length_of_a_loader_is_known_if_it_says_so() -> None:
    assert length_of([1, 2, 3]) == 3
    assert length_of(DataLoader(TensorDataset(torch.zeros(10, 2)), batch_size=4)) == 3
    assert length_of(iter([1, 2])) == math.inf
    assert length_of(DataLoader(Endless(), batch_size=4)) == math.inf
