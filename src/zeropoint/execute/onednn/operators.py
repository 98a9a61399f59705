"""The private operators of torch that this engine stands on, and whether it knows them.

`torch.ops.onednn.*` are what Inductor lowers int8 graphs to. They are not a public interface, so
their schemas are compared before anything is called: another torch gets a sentence, not a crash.
"""

import warnings
from functools import cache

import torch

TESTED = "torch 2.13"

SCHEMAS = {
    "qconv_prepack": (
        "default",
        "weight w_scales x_scale x_zp stride padding dilation groups x_shape",
    ),
    "qconv_pointwise": (
        "default",
        "qx x_scale x_zero_point qw w_scale w_zero_point bias stride padding dilation groups "
        "output_scale output_zero_point output_dtype attr scalars algorithm",
    ),
    "qconv2d_pointwise.binary": (
        "binary",
        "qx x_scale x_zero_point qw w_scale w_zero_point qaccum bias stride padding dilation "
        "groups output_scale output_zero_point output_dtype accum_scale accum_zero_point "
        "binary_attr alpha unary_attr unary_scalars unary_algorithm",
    ),
    "qlinear_prepack": ("default", "weight x_shape"),
    "qlinear_pointwise": (
        "default",
        "qx x_scale x_zero_point qw w_scale w_zero_point bias output_scale output_zero_point "
        "output_dtype post_op_name post_op_args post_op_algorithm",
    ),
}


@cache
def why_unusable() -> str | None:
    """Why the kernels cannot be used on this machine, with the versions; None if they can."""
    for name, (overload, arguments) in SCHEMAS.items():
        packet = getattr(torch.ops.onednn, name.partition(".")[0], None)
        found = getattr(packet, overload, None)
        if found is None:
            return f"torch {torch.__version__} has no onednn::{name}; {TESTED} has it"
        if " ".join(argument.name for argument in found._schema.arguments) != arguments:
            return f"torch {torch.__version__} has another onednn::{name} than {TESTED}"
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]  # torch has no types
        return "this torch was built without oneDNN"
    _warm_up()
    return None


def _warm_up() -> None:
    """Let torch say once, unheard, that its quantized dtypes are deprecated."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.quantize_per_tensor(torch.zeros(1), 1.0, 0, torch.quint8).int_repr()
