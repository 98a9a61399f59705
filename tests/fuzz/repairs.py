"""What follows from a change, so that the whole is a program again that nobody has tried before."""

from contextlib import suppress
from typing import Any

import torch
from torch import Tensor

from zeropoint.fields import Field
from zeropoint.graph.graph import Graph, Node
from zeropoint.graph.op import Grid, IntegerOp, Role
from zeropoint.graph.text import SCALE, ZERO_POINT
from zeropoint.program.file import _graph_from_json
from zeropoint.program.shapes import BATCHES, infer

Json = Any  # nested lists, dicts, strings, numbers
SIZES = 8, 11
"""Of images whose size is free, in the same two walks."""


def repair(body: Json, tensors: dict[str, Tensor]) -> None:
    """Give values the shapes that they have, biases their scales, and moved values their grids."""
    graph = _graph_from_json(Field(body["graph"]), tensors)
    for node in graph.nodes:
        with suppress(Exception):  # a node that has lost its operands
            _grids(body["graph"]["values"], tensors, graph, node)
    _shapes(body, graph)


def _shapes(body: Json, graph: Graph) -> None:
    walks = [
        infer(graph, [_sized(graph.values[name].shape, *free) for name in graph.inputs])
        for free in zip(BATCHES, SIZES, strict=True)
    ]
    for name, one in walks[0].items():
        if isinstance(one, Tensor) and name not in graph.inputs:
            pairs = zip(one.shape, walks[1][name].shape, strict=True)
            body["graph"]["values"][name]["shape"] = [_declared(*pair) for pair in pairs]


def _sized(shape: tuple[int | str, ...], batch: int, size: int) -> list[int]:
    return [n if isinstance(n, int) else batch if n == "N" else size for n in shape]


def _declared(one: int, other: int) -> int | str:
    if one == other:
        return one
    return "N" if (one, other) == BATCHES else "?"


def _grids(values: Json, tensors: dict[str, Tensor], graph: Graph, node: Node) -> None:
    if not isinstance(node.op, IntegerOp):
        return
    if node.op.grid is Grid.SHARED:
        grid = {k: v for k, v in values[node.inputs[0]].items() if k != "shape"}
        values[node.output] = {"shape": values[node.output]["shape"], **grid}
    if Role.WEIGHT in node.op.roles(len(node.inputs)):
        x, weight = (graph.values[name].params for name in node.inputs[:2])
        assert x is not None
        assert weight is not None
        product = (x.scale.double() * weight.scale.double()).float()
        for name in (node.inputs[2], node.output):
            if values[name]["type"] == "i32":
                _put(values[name], tensors, name, product)


def _put(value: Json, tensors: dict[str, Tensor], name: str, scale: Tensor) -> None:
    if "axis" in value:
        tensors[f"{name}{SCALE}"] = scale
        tensors[f"{name}{ZERO_POINT}"] = torch.zeros_like(scale, dtype=torch.int32)
    else:
        value["scale"] = scale.item()
