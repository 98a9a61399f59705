"""Where a node comes from: the layer in the module tree, and the line in the user's code."""

import re
import traceback
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from zeropoint.graph.graph import Origin

TORCH = str(Path(torch.__file__).parent)
OURS = str(Path(__file__).parents[1])
GENERATED = "<eval_with_key>"
"""Where the code says it is that torch writes for graphs of its own."""

FRAME = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d+).*\n\s*(?P<code>.*)')


def origin_of(node: torch.fx.Node, modules: Mapping[str, nn.Module]) -> Origin:
    """The innermost module around the node, with its class names, and the user's line."""
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    layer = _clean(stack[-1][0]) if stack else ""
    if layer not in modules:  # torch marks nodes of its own making with a name of its own
        layer = ""
    module = modules.get(layer)
    types = tuple(_qualified(base) for base in type(module).__mro__) if module is not None else ()
    return Origin(layer, types, _last_users_frame(node.meta.get("stack_trace") or ""))


def _clean(path: str) -> str:
    """The module's path; torch.export marks the second call of a module by @1."""
    return re.sub(r"@\d+", "", path)


def _qualified(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _last_users_frame(stack_trace: str) -> str:
    """The innermost frame outside torch: `net.py:12  y = self.conv(x)`."""
    frames = FRAME.finditer(stack_trace)
    users = [frame for frame in frames if not frame["file"].startswith((TORCH, GENERATED))]
    if not users:
        return ""
    frame = users[-1]
    return f"{Path(frame['file']).name}:{frame['line']}  {frame['code'].strip()}"


def users_line(error: BaseException) -> str:
    """The innermost line of the user's code in an error's traceback or message; "" if none."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith((TORCH, OURS, "<"))
    ]
    if frames:
        return f"{Path(frames[-1].filename).name}:{frames[-1].lineno} {frames[-1].line!r}"
    return _last_users_frame(str(error))


def running_line() -> str:
    """The innermost line of the user's code that is being run: `net.py:12  y = self.conv(x)`."""
    frames = [
        frame
        for frame in traceback.extract_stack()
        if not frame.filename.startswith((TORCH, OURS, "<"))
    ]
    if not frames:
        return ""
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}  {frames[-1].line}"


def first_line(error: Exception) -> str:
    """The first line of an error's message that says anything."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), repr(error))
