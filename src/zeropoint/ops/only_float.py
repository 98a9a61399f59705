"""Operators that stay float, and why: a sentence for each, which coverage prints.

Everything else that no family knows stays float as well, with less to say about it.
"""

from collections.abc import Callable, Iterable

from zeropoint.graph.build import Builder
from zeropoint.graph.op import Op
from zeropoint.graph.value import Shape, Value

NORMALIZED = "it divides by a deviation of its own input, which 8 bits do not resolve"
EXPONENTIAL = "it compares exponentials, whose ratios 8 bits do not resolve"

REASONS: dict[str, Iterable[str]] = {
    NORMALIZED: (
        "layer_norm.default",
        "native_layer_norm.default",
        "group_norm.default",
        "native_group_norm.default",
        "instance_norm.default",
        "rms_norm.default",
        "linalg_vector_norm.default",
        "norm.ScalarOpt_dim",
        "std.dim",
        "std.correction",
        "var.dim",
        "var.correction",
    ),
    EXPONENTIAL: (
        "softmax.int",
        "_softmax.default",
        "log_softmax.int",
        "_log_softmax.default",
        "logsumexp.default",
    ),
    "its softmax compares exponentials, whose ratios 8 bits do not resolve": (
        "scaled_dot_product_attention.default",
        "_native_multi_head_attention.default",
    ),
    "where it looks depends on the values of a tensor": (
        "grid_sampler.default",
        "grid_sampler_2d.default",
        "grid_sampler_3d.default",
        "gather.default",
        "index_put.default",
        "scatter.src",
        "scatter_add.default",
        "max_unpool2d.default",
        "embedding.default",
    ),
    "its windows are drawn at random": (
        "fractional_max_pool2d.default",
        "fractional_max_pool3d.default",
    ),
    "it returns where the maxima are besides": (
        "max_pool2d_with_indices.default",
        "max_pool3d_with_indices.default",
        "max_pool1d_with_indices.default",
    ),
    "it adds overlapping windows": ("col2im.default",),
    "its weights are cubic polynomials: some are negative, and none is a simple fraction": (
        "upsample_bicubic2d.vec",
        "upsample_bicubic2d.default",
        "_upsample_bicubic2d_aa.vec",
    ),
    "antialiasing makes its windows as wide as the image asks": (
        "_upsample_bilinear2d_aa.vec",
        "_upsample_bilinear2d_aa.default",
    ),
    "it orders the values of a tensor": ("topk.default", "sort.default", "argsort.default"),
    "its results are indices": ("argmax.default", "argmin.default"),
    "it accumulates along a dimension, and so do its rounding errors": (
        "cumsum.default",
        "cumprod.default",
    ),
}


def _stays(reason: str) -> Callable[..., Value | str]:
    def rule(to: Builder, shape: Shape, *arguments: object, **keywords: object) -> Value | str:
        return reason

    return rule


OPS: tuple[type[Op], ...] = ()
CAPTURES: dict[str, Callable[..., Value | str]] = {
    f"aten.{name}": _stays(reason) for reason, names in REASONS.items() for name in names
}
