"""Weights whose products saturate on this CPU are refused, on every engine where they would.

Where two products u8 x s8 are added in 16 bits (target.py) a channel is safe if no two of its
weights can leave them. Weights of 7 bits always are; `quantize` gives them where it has to.

OpenVINO, there, also takes the share of a zero point off in float32, when the sum of the products
of the codes as they are stored is complete: such a sum must not leave 32 bits.
"""

import torch

from zeropoint import target
from zeropoint.arithmetic.bounds import saturating_pairs, sum_range
from zeropoint.errors import SaturationError
from zeropoint.graph.graph import Node
from zeropoint.program.program import Program

INT32_LARGEST = 2**31 - 1


def refuse_saturating_pairs(program: Program, engine: str) -> None:
    """SaturationError if the engine would saturate on this CPU; it names the first layer."""
    if not target.saturates(engine):
        return
    found = first_saturating(program)
    if found is not None:
        raise SaturationError(
            f"{_told(*found)} in the {engine} engine: quantize on this machine, which gives them "
            '7 bits, or use engine="onnxruntime" or "reference", which are exact here'
        )


def refuse_saturating_file(program: Program, name: str) -> None:
    """SaturationError if a file with signed weights would saturate on this CPU."""
    found = first_saturating(program) if target.cpu().pairs_saturate else None
    if found is not None:
        raise SaturationError(
            f"{_told(*found)}: {name} cannot be judged here; it is this CPU that adds wrongly, "
            "not the file that is wrong; verify it on a machine that has VNNI"
        )


def refuse_wrapping_sums(program: Program) -> None:
    """SaturationError if OpenVINO's sums of codes would wrap around on this CPU, and not back."""
    node = _first_wrapping(program) if target.saturates("openvino") else None
    if node is not None:
        raise SaturationError(
            f"{node.origin.layer or node.output}: this CPU has no VNNI instructions, and without "
            "them the sums of the openvino engine leave int32 before it takes off the zero point; "
            'use engine="onnxruntime" or "reference", which are exact here'
        )


def _first_wrapping(program: Program) -> Node | None:
    """The first layer whose sum of stored codes times weights can leave int32."""
    for node in program.weighted_nodes():
        x = program.graph.values[node.inputs[0]].params
        assert x is not None  # integer nodes read integers
        rows, none = program.weight_rows(node), torch.zeros(())
        stored = sum_range(rows, none, min(x.low, 0), x.high)
        if bool(x.zero_point.any()) and bool((stored.largest > INT32_LARGEST).any()):
            return node
    return None


def first_saturating(program: Program) -> tuple[Node, int] | None:
    """The first layer with channels in which two products can leave 16 bits, and their number."""
    for node in program.weighted_nodes():
        x = program.graph.values[node.inputs[0]].params
        assert x is not None  # integer nodes read integers
        found = saturating_pairs(program.weight_rows(node), x.high)
        if bool(found.any()):
            return node, int(found.sum())
    return None


def _told(node: Node, channels: int) -> str:
    return (
        f"{node.origin.layer or node.output}: this CPU has no VNNI instructions, and without them "
        f"{channels} of its channels can saturate at 16 bits"
    )
