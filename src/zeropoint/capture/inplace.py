"""In-place operators as pure ones: `y = relu_(x)` is `y = relu(x)`, and x means y from there on.

That is right as long as nobody looks at the changed memory through a view. Where somebody does,
torch's own functionalization rewrites the program; it handles everything, and takes several times
as long as the export.
"""

from collections import defaultdict

import torch
from torch.export import ExportedProgram
from torch.fx import Node

SAME = {"aten.dropout.default", "aten.feature_dropout.default", "aten.alpha_dropout.default"}
"""Operators that return their operand itself in eval mode, though their schemas do not say so."""


def functional(program: ExportedProgram) -> tuple[ExportedProgram, dict[Node, set[Node]]]:
    """The program, and for each in-place node left in it every node that means its result.

    The program is functionalized by torch if changed memory is read through a view.
    """
    renamed = _renamings(program)
    if renamed is None:
        return program.run_decompositions({}), {}
    return program, renamed


def pure_form(target: torch._ops.OpOverload) -> torch._ops.OpOverload | None:
    """relu for relu_, add.Tensor for add_.Tensor; None if there is no such operator."""
    namespace, _, name = target._schema.name.partition("::")
    if not name.endswith("_") or name.endswith("__"):
        return None
    packet = getattr(getattr(torch.ops, namespace), name[:-1], None)
    return getattr(packet, target._overloadname, None)


def _renamings(program: ExportedProgram) -> dict[Node, set[Node]] | None:
    """What each in-place node renames; None if renaming is not enough."""
    order = {node: index for index, node in enumerate(program.graph.nodes)}
    same: dict[Node, set[Node]] = defaultdict(set)
    memory: dict[Node, set[Node]] = defaultdict(set)
    renamed: dict[Node, set[Node]] = {}
    for node in program.graph.nodes:
        same[node].add(node)
        memory[node].add(node)
        if node.op != "call_function" or not isinstance(node.target, torch._ops.OpOverload):
            if node.op == "call_function" and node.all_input_nodes:  # getitem of a list of views
                _join(memory, node, node.all_input_nodes[0])
            continue
        for source in _sources(node):
            _join(memory, node, source)
            if node.target._schema.is_mutable or str(node.target) in SAME:
                _join(same, node, source)
        if node.target._schema.is_mutable:
            if not _mutates_first_only(node) or pure_form(node.target) is None:
                return None
            others = memory[node] - same[node]
            if any(order[user] > order[node] for other in others for user in other.users):
                return None
            renamed[node] = same[node]
    return renamed


def _sources(node: Node) -> list[Node]:
    """The operands whose memory the result may be in."""
    assert isinstance(node.target, torch._ops.OpOverload)  # the caller checks
    if str(node.target) in SAME:
        return [node.args[0]] if isinstance(node.args[0], Node) else []
    pairs = zip(node.target._schema.arguments, node.args, strict=False)
    return [
        operand
        for argument, operand in pairs
        if argument.alias_info is not None and isinstance(operand, Node)
    ]


def _join(groups: dict[Node, set[Node]], one: Node, other: Node) -> None:
    """Make two groups one."""
    union = groups[one] | groups[other]
    for node in union:
        groups[node] = union


def _mutates_first_only(node: Node) -> bool:
    assert isinstance(node.target, torch._ops.OpOverload)  # the caller checks
    written = [
        index
        for index, argument in enumerate(node.target._schema.arguments)
        if argument.alias_info is not None and argument.alias_info.is_write
    ]
    return written == [0] and bool(node.args) and isinstance(node.args[0], Node)
