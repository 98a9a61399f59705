"""The greatest element of each window, as a oneDNN primitive."""

from collections.abc import Sequence

from torch import Tensor

from zeropoint.execute.onednn.attributes import Attributes
from zeropoint.execute.onednn.descriptors import U8, c_array, images
from zeropoint.execute.onednn.layout import is_channels_last
from zeropoint.execute.onednn.library import Library
from zeropoint.execute.onednn.memory import Memory
from zeropoint.execute.onednn.primitive import INFERENCE, Made, Primitive
from zeropoint.execute.onednn.window import Window, padding_after, windows

MAX_POOLING = 0x1FF


class MaxPooling(Primitive):
    """The greatest element of each window of a uint8 image in channels_last."""

    def __init__(
        self, library: Library, memory: Memory, kernel: Sequence[int], window: Window
    ) -> None:
        super().__init__(library, memory)
        self._kernel = kernel
        self._window = window

    def _output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return (*shape[:2], *windows(shape[2:], self._kernel, self._window))

    def _fits(self, x: Tensor) -> bool:
        return x.ndim == len(self._kernel) + 2 and is_channels_last(x)

    def _make(
        self, shape: tuple[int, ...], strides: tuple[int, ...], output: tuple[int, ...]
    ) -> Made:
        library, w = self._library, self._window
        source, target = images(library, shape, U8), images(library, output, U8)
        after = padding_after(shape[2:], output[2:], self._kernel, w)
        places = (w.stride, self._kernel, [d - 1 for d in w.dilation], w.padding, after)
        attributes = Attributes(library)
        description = attributes.description(
            "pooling_forward",
            library.engine,
            INFERENCE,
            MAX_POOLING,
            source,
            target,
            *map(c_array, places),
        )
        handle = library.create("primitive", description)
        return Made(handle, description, source, target, output)
