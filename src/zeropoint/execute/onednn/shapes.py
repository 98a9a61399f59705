"""The sizes that images will probably have: kernels lay their weights out for them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from zeropoint.graph.value import Plain
from zeropoint.graph.walk import walk
from zeropoint.program.program import Program

META = torch.device("meta")


def probable_shapes(program: Program) -> Mapping[str, tuple[int, ...]]:
    """The shape of each value for one calibration sample, found without computing anything.

    Empty for a program that does not know its sample; incomplete after an island whose operator
    cannot tell its shape. Both cost speed only.
    """
    inputs = program.provenance.input_shapes
    if not inputs:
        return {}
    shapes: dict[str, tuple[int, ...]] = {}

    def listen(name: str, value: Any) -> None:
        if isinstance(value, Tensor):
            shapes[name] = tuple(value.shape)

    constants = {
        name: torch.empty(tensor.shape, device=META, dtype=tensor.dtype)
        for name, tensor in program.graph.constants.items()
    }
    hollow = replace(program.graph, constants=constants)
    types = [program.graph.values[name].type for name in program.graph.inputs]
    images = [
        torch.empty(shape, device=META, dtype=type.dtype if isinstance(type, Plain) else None)
        for shape, type in zip(inputs, types, strict=False)
    ]
    try:
        walk(hollow, images, listener=listen)
    except (RuntimeError, NotImplementedError):
        return shapes
    return shapes
