"""DATA, as the shell spells it, becomes batches of (images, labels).

    photos/                  a folder of `class/name.png`; labels count the classes in sorted order
    photos.parquet           one parquet file with an image column and a label column
    ylecun/mnist:test        a dataset of the Hugging Face hub and its split

Each image becomes (C, H, W) float32: `(pixel / 255 - mean) / std`. Nothing is augmented, and the
order is the same at every pass: as stored, or shuffled once by a seed.
"""

import difflib
import io
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zeropoint.errors import DataError

MAXIMUM_PIXEL = 255
IMAGE_SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
# Pillow would clip these to 8 bits without a word.
DEEP_MODES = frozenset({"F", "I", "I;16", "I;16B", "I;16L"})
GRAY_MODES = frozenset({"1", "L", "LA"})
PILLOW_MODES = {1: "L", 3: "RGB"}


@dataclass(frozen=True)
class Preparation:
    """How an image becomes a tensor.

    `size` is (height, width): the image is scaled to cover it, keeping its proportions, and the
    centre is cut out; None keeps the image as it is. `mean` and `std` are in units of the full
    pixel range, one value or one per channel. `channels` is 1 or 3; None follows the first image.
    """

    size: tuple[int, int] | None = None
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    channels: int | None = None

    def __post_init__(self) -> None:
        if self.size is not None and min(self.size) < 1:
            raise DataError(f"size is {self.size}, but an image has at least one pixel each way")
        if self.channels not in (None, *PILLOW_MODES):
            raise DataError(f"channels is {self.channels}, but images have 1 (gray) or 3 (RGB)")
        if not all(map(math.isfinite, (*self.mean, *self.std))) or min(self.std) <= 0:
            raise DataError(f"mean {self.mean} and std {self.std} must be finite, and std positive")


@dataclass(frozen=True)
class Columns:
    """The columns of a table that hold the images and the labels; None finds them by type."""

    image: str | None = None
    label: str | None = None


class ImageBatches:
    """Batches (images (N, C, H, W) float32, labels (N,) int64), the same at every pass.

    The last batch may be short. `len` counts batches, `samples` counts images.
    """

    def __init__(
        self, table: "Table", order: Sequence[int], preparation: Preparation, batch_size: int
    ) -> None:
        self._table = table
        self._order = order
        self._preparation = preparation
        self.batch_size = batch_size

    @property
    def samples(self) -> int:
        return len(self._order)

    def __len__(self) -> int:
        return math.ceil(self.samples / self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        decoder = Decoder(self._preparation)
        for start in range(0, self.samples, self.batch_size):
            rows = self._table.rows(self._order[start : start + self.batch_size])
            images = torch.stack([decoder.tensor(row) for row in rows])  # (N, C, H, W)
            yield images, torch.tensor([row.label for row in rows])


def open_data(
    data: str,
    *,
    preparation: Preparation | None = None,
    columns: Columns | None = None,
    batch_size: int = 32,
    samples: int | None = None,
    shuffle_seed: int | None = None,
) -> ImageBatches:
    """The images that DATA names, at most `samples` of them, shuffled first if a seed is given.

    Calibration wants the seed: a folder is sorted by class, so its first 512 images may all show
    the same thing. Reads no image yet; raises `DataError` in one sentence.
    """
    if batch_size < 1:
        raise DataError(f"batch size is {batch_size}, but a batch has at least one image")
    if samples is not None and samples < 1:
        raise DataError(f"{samples} samples were asked for, but at least one is needed")
    table = open_table(data, columns or Columns())
    if not len(table):
        raise DataError(f"{data} holds no images")
    order = shuffled(len(table), shuffle_seed)[:samples]
    return ImageBatches(table, order, preparation or Preparation(), batch_size)


def shuffled(count: int, seed: int | None) -> Sequence[int]:
    if seed is None:
        return range(count)
    order: list[int] = torch.randperm(count, generator=torch.Generator().manual_seed(seed)).tolist()
    return order


# --- where images come from --------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """One encoded image, its label, and what to call it in an error."""

    encoded: bytes
    label: int
    name: str


@dataclass(frozen=True)
class Table:
    """A Hugging Face dataset with the names of its two columns."""

    dataset: Any  # datasets.Dataset: the package is optional and ships no types
    image: str
    label: str
    name: str

    def __len__(self) -> int:
        return len(self.dataset)

    def rows(self, indices: Sequence[int]) -> list[Row]:
        chunk = self.dataset[list(indices)]
        return [
            self._row(index, image, label)
            for index, image, label in zip(
                indices, chunk[self.image], chunk[self.label], strict=True
            )
        ]

    def _row(self, index: int, image: object, label: object) -> Row:
        name = f"row {index} of {self.name}"
        if not isinstance(image, dict):
            raise DataError(f"{name} has no image in column {self.image}")
        if not isinstance(label, int) or label < 0:
            raise DataError(f"{name} has the label {label!r}, but labels count classes from 0")
        if image["bytes"] is None:
            name = str(image["path"])
            return Row(encoded=read(name), label=label, name=name)
        return Row(encoded=image["bytes"], label=label, name=name)


def open_table(data: str, columns: Columns) -> Table:
    path = Path(data).expanduser()
    if path.is_dir():
        dataset = folder(path)
    elif path.is_file():
        dataset = parquet(path)
    elif looks_like_a_path(data):
        raise DataError(f"{data} does not exist; DATA is a folder, a parquet file or a hub name")
    else:
        dataset = from_hub(data)
    return with_columns(dataset, columns, data)


def looks_like_a_path(data: str) -> bool:
    """Whether DATA cannot be the hub's `name`, `owner/name`, either with `:split` behind it."""
    return data.startswith((".", "/", "~")) or data.count("/") > 1 or data.endswith(".parquet")


def folder(path: Path) -> Any:  # a datasets.Dataset
    """One row for each `class/name.png`.

    Not `load_dataset("imagefolder")`: it takes a class called `train` or `test` for a split.
    """
    classes = sorted(child for child in path.iterdir() if child.is_dir())
    files = [
        (str(file), label)
        for label, child in enumerate(classes)
        for file in sorted(child.iterdir())
        if file.suffix.lower() in IMAGE_SUFFIXES
    ]
    if not files:
        raise DataError(
            f"{path} holds no images; expected one folder for each class, as in {path}/class/a.png"
        )
    images, labels = zip(*files, strict=True)
    datasets = import_datasets()
    dataset = datasets.Dataset.from_dict({"image": images, "label": labels})
    return dataset.cast_column("image", datasets.Image())


def parquet(path: Path) -> Any:  # a datasets.Dataset
    """The whole file in memory, as it is encoded there; no copy goes into the hub's cache."""
    datasets = import_datasets()
    import pyarrow
    from pyarrow.parquet import read_table

    try:
        return datasets.Dataset(read_table(path))
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"{path} cannot be read as parquet: {first_line(error)}") from error


def from_hub(data: str) -> Any:  # a datasets.Dataset
    datasets = import_datasets()
    if not sys.stderr.isatty():
        datasets.disable_progress_bars()  # its download bars would be drawn into a file
    name, _, split = data.partition(":")
    try:
        found = datasets.load_dataset(name, split=split or None)
    except Exception as error:  # the hub's client raises a dozen types, some of them bare
        raise DataError(
            f"{name} is no file or folder here, and the Hugging Face hub did not give it: "
            f"{first_line(error)}"
        ) from error
    if isinstance(found, datasets.Dataset):
        return found
    if len(found) == 1:
        return next(iter(found.values()))
    raise DataError(
        f"{name} has the splits {', '.join(found)}; name one, as in {name}:{next(iter(found))}"
    )


def import_datasets() -> Any:  # the module: it ships no types
    try:
        import datasets
        import PIL  # noqa: F401  without it, datasets fails only at the first image
    except ImportError as error:
        raise DataError(
            f"reading images needs {error.name}, which is not installed: "
            "pip install 'zeropoint[data]'"
        ) from error
    return datasets


# --- which columns -----------------------------------------------------------------------------


def with_columns(dataset: Any, columns: Columns, name: str) -> Table:
    datasets = import_datasets()
    features = dataset.features
    image = columns.image or only(
        [column for column, kind in features.items() if isinstance(kind, datasets.Image)],
        usual="image",
    )
    label = columns.label or only(
        [column for column, kind in features.items() if isinstance(kind, datasets.ClassLabel)],
        usual="label",
    )
    for column, option in ((image, "--image-column"), (label, "--label-column")):
        if column not in features:
            raise DataError(unknown_column(column, list(features), name, option))
    undecoded = datasets.Image(decode=False)
    try:
        dataset = dataset.cast_column(image, undecoded)
    except Exception as error:  # pyarrow's and datasets' own, by the column's type
        raise DataError(f"column {image} of {name} holds no images") from error
    return Table(dataset.select_columns([image, label]), image, label, name)


def only(found: list[str], *, usual: str) -> str:
    """The one column of the right type; the usual name where types do not decide."""
    return found[0] if len(found) == 1 else usual


def unknown_column(column: str, present: list[str], name: str, option: str) -> str:
    near = difflib.get_close_matches(column, present, n=1)
    hint = f"did you mean {near[0]}?" if near else f"name one with {option}"
    return f"{name} has no column {column}; it has {', '.join(present)}: {hint}"


# --- one image ---------------------------------------------------------------------------------


class Decoder:
    """Encoded images to tensors of one shape: the first image sets what `preparation` leaves open.

    Raises `DataError` that names the image: unreadable, deeper than 8 bits, coloured after a gray
    first one, or of another size than the first.
    """

    def __init__(self, preparation: Preparation) -> None:
        self._preparation = preparation
        self._channels = preparation.channels
        self._first: tuple[str, tuple[int, ...]] | None = None

    def tensor(self, row: Row) -> Tensor:
        """The image as (C, H, W) float32, normalized."""
        image = self._opened(row)
        if self._preparation.size is not None:
            from PIL import Image, ImageOps

            height, width = self._preparation.size
            image = ImageOps.fit(image, (width, height), Image.Resampling.BILINEAR)
        pixels = np.asarray(image, dtype=np.float32).reshape(*image.size[::-1], -1)  # (H, W, C)
        x = torch.from_numpy(pixels).permute(2, 0, 1).contiguous() / MAXIMUM_PIXEL
        self._same_shape(row, tuple(x.shape))
        return (x - self._by_channel("mean", x)) / self._by_channel("std", x)

    def _opened(self, row: Row) -> Any:  # a PIL.Image.Image: Pillow is optional
        from PIL import Image

        try:
            image = Image.open(io.BytesIO(row.encoded))
            image.load()
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise DataError(f"{row.name} is not a readable image: {damage(error)}") from error
        if image.mode in DEEP_MODES:
            raise DataError(f"{row.name} has pixels of mode {image.mode}; convert it to 8 bits")
        gray = image.mode in GRAY_MODES
        if self._channels is None:
            self._channels = 1 if gray else 3
        if self._channels == 1 and not gray and self._preparation.channels is None:
            raise DataError(
                f"{row.name} has colours, the images before it had none: ask for one "
                "number of channels (--channels 1 or 3)"
            )
        return image.convert(PILLOW_MODES[self._channels])

    def _same_shape(self, row: Row, shape: tuple[int, ...]) -> None:
        if self._first is None:
            self._first = (row.name, shape)
        name, first = self._first
        if shape != first:
            raise DataError(
                f"{row.name} has {shape[1]}x{shape[2]} pixels and {name} has {first[1]}x{first[2]}:"
                " give one size (--size)"
            )

    def _by_channel(self, name: str, x: Tensor) -> Tensor:
        values: tuple[float, ...] = getattr(self._preparation, name)
        if len(values) not in (1, len(x)):
            raise DataError(f"{name} has {len(values)} values, but the images {len(x)} channels")
        return torch.tensor(values).reshape(-1, 1, 1)


def read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error


def damage(error: Exception) -> str:
    """What is wrong; Pillow's own words for a foreign file only print the buffer's address."""
    return "unknown format" if "cannot identify" in str(error) else first_line(error)


def first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
