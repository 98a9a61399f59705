"""What a primitive is made with besides its shapes: scales, zero points, post-operations."""

from collections.abc import Iterable

from zeropoint.execute.onednn.library import Handle, Library
from zeropoint.execute.onednn.post_ops import PostOp

USER = 1


class Attributes:
    """The attributes, which the primitive copies when it is made.

    Temporary memory is the caller's: what the library keeps with a primitive, two threads that run
    it would share.
    """

    def __init__(self, library: Library) -> None:
        self._library = library
        self._handle = library.create("primitive_attr")
        self._post = library.create("post_ops")
        library.call("primitive_attr_set_scratchpad_mode", self._handle, USER)

    def grid(self, *kinds: int) -> None:
        """Operands of these kinds have one scale and one zero point each."""
        for kind in kinds:
            self.scales(kind, 0)
            self._library.call("primitive_attr_set_zero_points_mask", self._handle, kind, 0)

    def scales(self, kind: int, mask: int) -> None:
        """An operand has scales along the dimensions of the mask."""
        self._library.call("primitive_attr_set_scales_mask", self._handle, kind, mask)

    def functions(self, functions: Iterable[PostOp]) -> None:
        """Functions of the result, one after the other."""
        for function in functions:
            self._library.call("post_ops_append_eltwise", self._post, *function)

    def post_op(self, name: str, *arguments: object) -> None:
        """Any other post-operation, by its name in oneDNN."""
        self._library.call(f"post_ops_append_{name}", self._post, *arguments)

    def description(self, by: str, *arguments: object) -> Handle:
        """The description of a primitive of the kind `by`; the attributes come last."""
        self._library.call("primitive_attr_set_post_ops", self._handle, self._post)
        return self._library.create(
            "primitive_desc", *arguments, self._handle, by=f"{by}_primitive_desc_create"
        )
