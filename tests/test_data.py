import builtins
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from zeropoint.data import Columns, Preparation, open_data
from zeropoint.errors import DataError

GRAY = np.arange(12, dtype=np.uint8).reshape(3, 4)  # (H, W)


def png(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def encoded(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


def write_parquet(path: Path, columns: Mapping[str, Sequence[object]], **kinds: Any) -> Path:
    """A table as the hub stores it; `kinds` are the Hugging Face features of its columns."""
    features = datasets.Features(kinds) if kinds else None
    import pyarrow
    from pyarrow.parquet import write_table

    schema = features.arrow_schema if features else None
    write_table(pyarrow.table(dict(columns), schema=schema), path)
    return path


def hub_parquet(path: Path, count: int = 3) -> Path:
    """`count` gray images whose pixels all equal their index, labelled 0, 1, 0, 1, ..."""
    images = [
        {"bytes": encoded(np.full((2, 2), i, dtype=np.uint8)), "path": None} for i in range(count)
    ]
    return write_parquet(
        path,
        {"image": images, "label": [i % 2 for i in range(count)]},
        image=datasets.Image(),
        label=datasets.ClassLabel(names=["even", "odd"]),
    )


def everything(data: str, **options: Any) -> tuple[Tensor, Tensor]:
    images, labels = zip(*open_data(data, **options), strict=True)
    return torch.cat(images), torch.cat(labels)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of three images, each image one gray level: 0, 1, 2 and 10, 11, 12."""
    for name, first in (("cat", 0), ("dog", 10)):
        for i in range(3):
            png(tmp_path / name / f"{i}.png", np.full((2, 2), first + i, dtype=np.uint8))
    return tmp_path


# --- what is read ------------------------------------------------------------------------------


def test_a_folder_is_read_in_sorted_order_with_sorted_classes_as_labels(folder: Path) -> None:
    images, labels = everything(str(folder))
    assert images.dtype == torch.float32
    assert images.shape == (6, 1, 2, 2)
    assert (images[:, 0, 0, 0] * 255).round().tolist() == [0, 1, 2, 10, 11, 12]
    assert labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert labels.dtype == torch.int64


def test_a_class_called_train_is_a_class(tmp_path: Path) -> None:
    png(tmp_path / "plane" / "a.png", GRAY)
    png(tmp_path / "train" / "a.png", GRAY)
    assert everything(str(tmp_path))[1].tolist() == [0, 1]


def test_a_parquet_file_is_read_in_its_order(tmp_path: Path) -> None:
    images, labels = everything(str(hub_parquet(tmp_path / "a.parquet")))
    assert (images[:, 0, 0, 0] * 255).round().tolist() == [0, 1, 2]
    assert labels.tolist() == [0, 1, 0]


def test_columns_without_types_are_found_by_name_or_named(tmp_path: Path) -> None:
    images = [{"bytes": encoded(GRAY), "path": None}]
    plain = write_parquet(tmp_path / "a.parquet", {"image": images, "label": [7]})
    assert everything(str(plain))[1].tolist() == [7]
    named = write_parquet(tmp_path / "b.parquet", {"photo": images, "digit": [7]})
    assert everything(str(named), columns=Columns("photo", "digit"))[1].tolist() == [7]


def test_a_hub_name_is_loaded_with_its_split(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = datasets.Dataset.from_dict(
        {"img": [{"bytes": encoded(GRAY), "path": None}], "label": [0]},
        features=datasets.Features(img=datasets.Image(), label=datasets.ClassLabel(names=["a"])),
    )
    splits = datasets.DatasetDict(train=stored, test=stored)
    asked: list[tuple[str, str | None]] = []

    def load_dataset(name: str, split: str | None) -> object:
        asked.append((name, split))
        return splits[split] if split else splits

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    assert everything("owner/name:test")[0].shape == (1, 1, 3, 4)
    with pytest.raises(DataError, match="has the splits train, test; name one, as in owner/name:"):
        open_data("owner/name")
    assert asked == [("owner/name", "test"), ("owner/name", None)]


def test_the_last_batch_may_be_short(folder: Path) -> None:
    batches = open_data(str(folder), batch_size=4)
    assert [len(images) for images, _ in batches] == [4, 2]
    assert len(batches) == 2
    assert batches.samples == 6


def test_samples_are_a_limit(folder: Path) -> None:
    assert open_data(str(folder), samples=4).samples == 4
    assert open_data(str(folder), samples=1000).samples == 6


def test_a_seed_shuffles_before_the_limit_and_the_same_way_at_every_pass(folder: Path) -> None:
    batches = open_data(str(folder), shuffle_seed=0, samples=4)
    first, second = ([labels.tolist() for _, labels in batches] for _ in range(2))
    assert first == second
    assert set(first[0]) == {0, 1}  # without the seed, only class 0 and one of class 1
    order = [round(x.item() * 255) for x in everything(str(folder), shuffle_seed=0)[0][:, 0, 0, 0]]
    assert order != sorted(order)
    assert sorted(order) == [0, 1, 2, 10, 11, 12]


# --- how an image becomes a tensor -------------------------------------------------------------


def test_pixels_are_scaled_then_normalized(tmp_path: Path) -> None:
    png(tmp_path / "a" / "a.png", GRAY)
    images, _ = everything(str(tmp_path), preparation=Preparation(mean=(0.5,), std=(0.25,)))
    assert torch.equal(images[0, 0], (torch.from_numpy(GRAY) / 255 - 0.5) / 0.25)


def test_colours_are_channels_in_the_order_red_green_blue(tmp_path: Path) -> None:
    png(tmp_path / "a" / "a.png", np.full((2, 3, 3), (255, 0, 51), dtype=np.uint8))
    images, _ = everything(str(tmp_path))
    assert images.shape == (1, 3, 2, 3)
    assert torch.allclose(images[0, :, 0, 0], torch.tensor([1.0, 0.0, 0.2]))


def test_channels_can_be_asked_for(tmp_path: Path) -> None:
    png(tmp_path / "a" / "a.png", GRAY)
    assert everything(str(tmp_path), preparation=Preparation(channels=3))[0].shape[1] == 3
    png(tmp_path / "a" / "b.png", np.zeros((3, 4, 3), dtype=np.uint8))
    assert everything(str(tmp_path), preparation=Preparation(channels=1))[0].shape[1] == 1


def test_a_gray_image_among_coloured_ones_becomes_coloured(tmp_path: Path) -> None:
    png(tmp_path / "a" / "a.png", np.zeros((3, 4, 3), dtype=np.uint8))
    png(tmp_path / "a" / "b.png", GRAY)
    assert everything(str(tmp_path))[0].shape == (2, 3, 3, 4)


def test_size_covers_and_cuts_out_the_centre(tmp_path: Path) -> None:
    columns = np.zeros((2, 6), dtype=np.uint8)
    columns[:, 2:4] = 255
    png(tmp_path / "a" / "a.png", columns)
    images, _ = everything(str(tmp_path), preparation=Preparation(size=(2, 2)))
    assert torch.equal(images, torch.ones(1, 1, 2, 2))


# --- what bad input gets -----------------------------------------------------------------------


def refused(match: str, data: object, **options: Any) -> None:
    with pytest.raises(DataError, match=match) as caught:
        everything(str(data), **options)
    assert "\n" not in str(caught.value)


def test_a_missing_path_is_named() -> None:
    refused(
        r"\./nowhere does not exist; DATA is a folder, a parquet file or a hub name", "./nowhere"
    )
    refused("a/b/c does not exist", "a/b/c")
    refused(r"mnist\.parquet does not exist", "mnist.parquet")


def test_a_name_that_the_hub_does_not_give_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def load_dataset(name: str, split: str | None) -> object:
        raise ConnectionError("no network\nand a long story")

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    refused(
        "owner/name is no file or folder here, and .* did not give it: no network$", "owner/name"
    )


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    refused("holds no images; expected one folder for each class", tmp_path)
    (tmp_path / "notes.txt").write_text("x")
    png(tmp_path / "flat.png", GRAY)
    refused("holds no images; expected one folder for each class", tmp_path)


def test_an_empty_table_is_refused(tmp_path: Path) -> None:
    refused("holds no images", hub_parquet(tmp_path / "a.parquet", count=0))


def test_a_file_that_is_no_parquet_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.parquet"
    file.write_bytes(b"not parquet at all")
    refused(r"a\.parquet cannot be read as parquet", file)


def test_a_broken_image_file_is_named(folder: Path) -> None:
    whole = (folder / "dog" / "1.png").read_bytes()
    (folder / "dog" / "1.png").write_bytes(whole[: len(whole) // 2])
    refused(r"dog/1\.png is not a readable image: ", folder)
    (folder / "dog" / "1.png").write_text("hello")
    refused(r"dog/1\.png is not a readable image: unknown format", folder)


def test_a_broken_image_in_a_table_is_named_by_its_row(tmp_path: Path) -> None:
    images = [{"bytes": encoded(GRAY), "path": None}, {"bytes": b"hello", "path": None}]
    file = write_parquet(tmp_path / "a.parquet", {"image": images, "label": [0, 0]})
    refused(r"row 1 of .*a\.parquet is not a readable image: unknown format", file)


def test_an_image_that_disappeared_is_named(folder: Path) -> None:
    batches = open_data(str(folder))
    (folder / "dog" / "1.png").unlink()
    with pytest.raises(DataError, match=r"dog/1\.png cannot be read: No such file"):
        list(batches)


def test_an_unknown_column_shows_the_nearest_one(tmp_path: Path) -> None:
    file = hub_parquet(tmp_path / "a.parquet")
    refused(
        "no column lable; it has image, label: did you mean label?",
        file,
        columns=Columns(label="lable"),
    )
    refused(
        "no column zzz; it has image, label: name one with --image-column",
        file,
        columns=Columns(image="zzz"),
    )


def test_two_columns_of_labels_ask_for_a_name(tmp_path: Path) -> None:
    file = write_parquet(
        tmp_path / "a.parquet",
        {"img": [{"bytes": encoded(GRAY), "path": None}], "fine": [3], "coarse": [1]},
        img=datasets.Image(),
        fine=datasets.ClassLabel(num_classes=100),
        coarse=datasets.ClassLabel(num_classes=20),
    )
    refused("no column label; it has img, fine, coarse: name one with --label-column", file)
    assert everything(str(file), columns=Columns(label="fine"))[1].tolist() == [3]


def test_a_column_of_something_else_is_no_image_column(tmp_path: Path) -> None:
    file = write_parquet(tmp_path / "a.parquet", {"image": [1.5], "label": [0]})
    refused("column image of .* holds no images", file)


def test_labels_that_count_no_classes_are_refused(tmp_path: Path) -> None:
    images = [{"bytes": encoded(GRAY), "path": None}]
    unlabelled = write_parquet(tmp_path / "a.parquet", {"image": images, "label": [-1]})
    refused("row 0 of .* has the label -1, but labels count classes from 0", unlabelled)
    words = write_parquet(tmp_path / "b.parquet", {"image": images, "label": ["cat"]})
    refused("row 0 of .* has the label 'cat', but labels count classes from 0", words)


def test_a_missing_image_is_named(tmp_path: Path) -> None:
    images = [{"bytes": encoded(GRAY), "path": None}, None]
    file = write_parquet(tmp_path / "a.parquet", {"image": images, "label": [0, 0]})
    refused("row 1 of .* has no image in column image", file)


def test_images_of_two_sizes_ask_for_one(tmp_path: Path) -> None:
    png(tmp_path / "a" / "a.png", GRAY)
    png(tmp_path / "a" / "b.png", np.zeros((5, 6), dtype=np.uint8))
    refused(r"b\.png has 5x6 pixels and .*a\.png has 3x4: give one size \(--size\)", tmp_path)


def test_colour_after_gray_asks_for_one_number_of_channels(tmp_path: Path) -> None:
    png(tmp_path / "a" / "a.png", GRAY)
    png(tmp_path / "a" / "b.png", np.zeros((3, 4, 3), dtype=np.uint8))
    refused(r"b\.png has colours, the images before it had none: .*--channels 1 or 3", tmp_path)


def test_deep_pixels_are_refused_rather_than_clipped(tmp_path: Path) -> None:
    png(tmp_path / "a" / "a.png", np.full((2, 2), 4000, dtype=np.uint16))
    refused(r"a\.png has pixels of mode I;16; convert it to 8 bits", tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": (0, 8)}, "size is"),
        ({"channels": 2}, "channels is 2, but images have 1"),
        ({"std": (0.0,)}, "std positive"),
        ({"mean": (float("nan"),)}, "must be finite"),
    ],
)
def test_an_impossible_preparation_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Preparation(**options)


def test_a_mean_for_another_number_of_channels_is_refused(folder: Path) -> None:
    refused(
        "mean has 3 values, but the images 1 channel",
        folder,
        preparation=Preparation(mean=(0.1, 0.2, 0.3)),
    )


def test_no_samples_and_empty_batches_are_refused(folder: Path) -> None:
    refused("0 samples were asked for", folder, samples=0)
    refused("batch size is 0", folder, batch_size=0)


def test_a_missing_package_names_the_extra(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ordinary = builtins.__import__

    def without_datasets(name: str, *args: Any, **kwargs: Any) -> object:
        if name == "datasets":
            raise ModuleNotFoundError("No module named 'datasets'", name="datasets")
        return ordinary(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_datasets)
    refused(r"needs datasets, which is not installed: pip install 'zeropoint\[data\]'", folder)
