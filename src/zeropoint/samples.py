"""The samples of a loader in an order of their own, so that nothing depends on the loader's.

    the place of a sample   a hash of its bytes

The same samples in any order, in batches of any size, come out in the same batches, to the bit:
whatever is added up, drawn or averaged over them is the same. The first k are as good as drawn by
lot, and the same k every time.

A sample is one index of the axis that inputs have in common, and what other inputs hold beside it;
where there is no such axis, as in a model of fixed sizes, it is a whole batch.

A loader is read once: it may be an iterator, and augmentation yields other images at a second look.
What it yields is copied, since it may be overwritten, but for batches that a list holds anyway; up
to IN_MEMORY bytes in memory, and beyond in a temporary file without a name.
"""

import hashlib
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import IO

import numpy as np
import torch
from torch import Tensor

from zeropoint.batches import Inputs
from zeropoint.distributed import gathered
from zeropoint.errors import CalibrationError
from zeropoint.graph.value import Shape

IN_MEMORY = 1 << 30
"""Bytes of copies; 512 images of 3 x 224 x 224 are 308 MB."""

NUMBERS, MOST = 16 * 3 * 224 * 224, 64
"""Of numbers in a batch, and of samples: enough to be quick, and no more memory than that takes."""

DIGEST = 7
"""Bytes of a hash, which then is a number of int64."""


@dataclass(frozen=True, order=True)
class _Place:
    """Where a sample is kept, in the order of its hash; those of one `kind` go into one batch."""

    digest: int
    kind: tuple[object, ...]
    batch: int
    index: int | None


class Samples:
    """Everything that the batches of a loader hold.

    `shapes` are those of the inputs, with names for sizes that are free.
    """

    def __init__(
        self, batches: Iterable[Inputs], shapes: Sequence[Shape], loader: object = None
    ) -> None:
        self._cut = _inputs_with_samples(shapes)
        self._kept: list[Inputs] = []
        places: list[_Place] = []
        with closing(_Store()) as store:
            keep = torch.Tensor.detach if isinstance(loader, list | tuple) else store.keep
            for inputs in batches:
                places += _places(len(self._kept), inputs, self._cut)
                self._kept.append(tuple(keep(x) for x in inputs))
        self._places = sorted(places, key=lambda place: place.digest)

    def __len__(self) -> int:
        return sum(map(self._count, self._places))

    def all(self, progress: Callable[[int], None] = lambda done: None) -> Iterator[Inputs]:
        """All samples; after each batch `progress` is told how many they were so far."""
        return self._batches(self._places, progress)

    def first(self, count: int) -> Iterator[Inputs]:
        """So many of all; of several processes each has its own among the first of all."""
        own = torch.tensor([place.digest for place in self._places], dtype=torch.int64)
        least = torch.cat(gathered(own)).sort().values[:count]
        last = int(least[-1]) if len(least) else -1
        return self._batches([place for place in self._places if place.digest <= last])

    def _count(self, place: _Place) -> int:
        first = self._kept[place.batch][0]
        return len(first) if place.index is None and first.ndim else 1

    def _batches(
        self, places: Sequence[_Place], progress: Callable[[int], None] = lambda done: None
    ) -> Iterator[Inputs]:
        kinds: dict[tuple[object, ...], list[_Place]] = {}
        for place in places:
            kinds.setdefault(place.kind, []).append(place)
        parts = [part for group in kinds.values() for part in self._parts(group)]
        done = 0
        for part in sorted(parts, key=lambda part: part[0].digest):
            yield self._together(part)
            done += sum(map(self._count, part))
            progress(done)

    def _parts(self, group: Sequence[_Place]) -> Iterator[Sequence[_Place]]:
        size = self._at_once(self._kept[group[0].batch])
        return (group[start : start + size] for start in range(0, len(group), size))

    def _at_once(self, inputs: Inputs) -> int:
        if not any(self._cut):
            return 1
        pairs = zip(inputs, self._cut, strict=True)
        numbers = sum(x[0].numel() if cut else x.numel() for x, cut in pairs)
        return min(max(NUMBERS // max(numbers, 1), 1), MOST)

    def _together(self, part: Sequence[_Place]) -> Inputs:
        if not any(self._cut):
            return self._kept[part[0].batch]
        return tuple(
            torch.stack([self._kept[place.batch][i][place.index] for place in part])
            if cut
            else self._kept[part[0].batch][i]
            for i, cut in enumerate(self._cut)
        )


def _inputs_with_samples(shapes: Sequence[Shape]) -> tuple[bool, ...]:
    """Which inputs begin with the axis of samples: that of the first that has a free one."""
    firsts = [shape[0] if shape else None for shape in shapes]
    axis = next((first for first in firsts if isinstance(first, str)), None)
    return tuple(axis is not None and first == axis for first in firsts)


def _places(batch: int, inputs: Inputs, cut: Sequence[bool]) -> Iterator[_Place]:
    beside = tuple(_hash([x]) for x, is_cut in zip(inputs, cut, strict=True) if not is_cut)
    rows = [x for x, is_cut in zip(inputs, cut, strict=True) if is_cut]
    kind = (*beside, *((str(x.dtype), *x.shape[1:]) for x in rows))
    if not rows:
        yield _Place(_hash(inputs), kind, batch, None)
        return
    for index in range(len(rows[0])):
        yield _Place(_hash([x[index] for x in rows], beside), kind, batch, index)


def _hash(tensors: Iterable[Tensor], beside: Sequence[int] = ()) -> int:
    """A number for the contents, the shapes and the types."""
    found = hashlib.blake2b(repr(beside).encode(), digest_size=DIGEST)
    for x in tensors:
        found.update(repr((x.dtype, tuple(x.shape))).encode())
        found.update(_bytes(x))
    return int.from_bytes(found.digest(), "big")


def _bytes(x: Tensor) -> memoryview:
    return x.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data


class _Store:
    """Copies of tensors, in memory as long as there is room, and else in a file."""

    def __init__(self) -> None:
        self._used = 0
        self._file: IO[bytes] | None = None

    def keep(self, x: Tensor) -> Tensor:
        """A copy; CalibrationError if there is no room for it on disk either."""
        self._used += x.nbytes
        if self._used <= IN_MEMORY or not x.nbytes:
            return x.detach().clone(memory_format=torch.contiguous_format)
        try:
            return self._mapped(x)
        except OSError as error:
            raise CalibrationError(
                f"{self._used:,} bytes of samples have been read, and there is no room for more: "
                f"{tempfile.gettempdir()}: {error.strerror or error}; calibrate with fewer "
                "(samples=), or let TMPDIR name a folder with room"
            ) from error

    def close(self) -> None:
        """Let go of the file; what is mapped stays."""
        if self._file is not None:
            self._file.close()

    def _mapped(self, x: Tensor) -> Tensor:
        if self._file is None:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115  # the mappings outlive any block
        start = self._file.tell()
        self._file.write(_bytes(x))
        self._file.write(bytes(-x.nbytes % 64))
        self._file.flush()  # written and not only mapped: a full disk is an error and no signal
        found = np.memmap(self._file, np.uint8, "c", start, x.nbytes)
        return torch.from_numpy(found).view(x.dtype).reshape(x.shape)


def whole_number(samples: object, work: str) -> int:
    """How many samples are asked for; CalibrationError if that is no number of samples."""
    if isinstance(samples, bool) or not isinstance(samples, int | np.integer):
        raise CalibrationError(
            f"samples={samples!r} is no number of samples; use a whole number, such as 512"
        )
    if samples < 1:
        raise CalibrationError(f"samples={samples}; {work} needs at least one")
    return int(samples)
