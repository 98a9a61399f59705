"""Buffers that forward() writes: state, if an output depends on them."""

from collections.abc import Sequence

import torch
from torch import nn
from torch.export import ExportedProgram
from torch.export.graph_signature import OutputKind

from zeropoint.errors import CaptureError
from zeropoint.notice import warn


def check_written(model: nn.Module, program: ExportedProgram, written: Sequence[str]) -> None:
    """CaptureError if an output depends on a buffer that forward() writes; else a warning."""
    buffers = program.graph_signature.inputs_to_buffers
    names = [name for name in buffers.values() if name in written]
    for node in program.graph.find_nodes(op="placeholder"):
        if buffers.get(node.name) in names and _reaches_an_output(program, node):
            raise CaptureError(
                f"{type(model).__name__} keeps state from call to call: forward() writes buffer "
                f"{buffers[node.name]!r} and its output depends on it, and a quantized network has "
                "no memory; pass what is kept as an input and return it as an output"
            )
    others = sorted({name for name, _ in model.named_buffers()} & {*written})
    if others:
        warn(
            f"forward() writes buffer {', '.join(map(repr, others))}, which no output depends on; "
            "the quantized network leaves that out"
        )


def _reaches_an_output(program: ExportedProgram, node: torch.fx.Node) -> bool:
    output = next(n for n in program.graph.nodes if n.op == "output")
    specs = program.graph_signature.output_specs
    returned = {
        item
        for item, spec in zip(output.args[0], specs, strict=True)
        if spec.kind is OutputKind.USER_OUTPUT and isinstance(item, torch.fx.Node)
    }
    seen, waiting = {node}, [node]
    while waiting:
        for user in waiting.pop().users:
            if user not in seen:
                seen.add(user)
                waiting.append(user)
    return bool(seen & returned)
