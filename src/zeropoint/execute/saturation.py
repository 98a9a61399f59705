"""Weights whose products saturate on this CPU are refused, on every engine where they would.

Where two products u8 x s8 are added in 16 bits (target.py) a channel is safe if no two of its
weights can leave them. Weights of 7 bits always are; `quantize` gives them where it has to.
"""

from zeropoint import target
from zeropoint.arithmetic.bounds import saturating_pairs
from zeropoint.errors import SaturationError
from zeropoint.graph.graph import Node
from zeropoint.program.program import Program


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
