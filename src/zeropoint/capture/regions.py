"""Parts of a program that run under something that changes no number, made part of the rest.

`with torch.autocast(device, enabled=False)` and `with torch.enable_grad()` make torch.export keep
their contents as graphs of their own. float32 stays float32 in both.
"""

import operator
from collections.abc import Sequence
from typing import Any

from torch.fx import Graph, GraphModule, Node


def inline_regions(module: GraphModule) -> None:
    """Put the contents of such parts, and of those within them, in their places."""
    for node in list(module.graph.nodes):
        name = getattr(node.target, "__name__", "")
        if name == "wrap_with_autocast" and not node.args[2]:
            contents, *given = node.args[4:]
        elif name == "wrap_with_set_grad_enabled":
            contents, *given = node.args[1:]
        else:
            continue
        part = module.get_submodule(str(contents.target))
        assert isinstance(part, GraphModule)
        inline_regions(part)
        _inline(module.graph, node, part.graph, given)
        if not contents.users:
            module.graph.erase_node(contents)
    module.recompile()


def _inline(graph: Graph, node: Node, contents: Graph, given: Sequence[object]) -> None:
    known: dict[Node, Any] = dict(zip(contents.find_nodes(op="placeholder"), given, strict=True))
    with graph.inserting_before(node):
        results = graph.graph_copy(contents, known)
    assert isinstance(results, (tuple, list))  # such a part returns a tuple
    for user in list(node.users):
        place = user.args[1]
        assert user.target is operator.getitem
        assert isinstance(place, int)
        result = results[place]
        assert isinstance(result, Node)
        user.replace_all_uses_with(result)
        graph.erase_node(user)
    graph.erase_node(node)
