"""nn.Module -> Graph, through torch.export.

    1. check       float32 parameters, all finite
    2. export      torch.export in eval mode; batch and image size free where the model allows it
    3. functional  in-place operators become pure ones (inplace.py)
    4. translate   one capture rule an operator (ops/); what has none becomes a float island

Every node keeps the layer it came from and the user's line.
"""

import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from zeropoint.capture.evaluating import evaluating
from zeropoint.capture.inplace import functional, pure_form
from zeropoint.capture.origin import origin_of, users_line
from zeropoint.errors import CaptureError
from zeropoint.graph.build import Builder
from zeropoint.graph.graph import Graph
from zeropoint.graph.rewrite import prune
from zeropoint.graph.structure import leaves_of, structure_of
from zeropoint.graph.value import UNKNOWN, Plain, Shape, Size, Value, ValueType
from zeropoint.ops import CAPTURES
from zeropoint.ops.opaque import Opaque, template
from zeropoint.ops.shape import ARITHMETIC, SizeArithmetic

NAMED_DIMENSIONS = {0: "N", 2: "H", 3: "W"}
"""What the free dimensions of an image batch (N, C, H, W) are called."""


def capture(model: nn.Module, example: Sequence[Tensor]) -> Graph:
    """The model's inference function as a graph of float operators, any batch size.

    `example` is one batch for each positional input; its contents do not matter. The model is not
    changed. CaptureError names the line of the model that cannot be captured.
    """
    _check_parameters(model)
    with evaluating(model), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.export warns about its own deprecated parts
        program = _export(model, tuple(_at_least_two(x) for x in example))
        program, renamed = functional(program)
    return _Translation(model, program, renamed).graph()


def _check_parameters(model: nn.Module) -> None:
    for kind, tensors in (
        ("parameter", model.named_parameters()),
        ("buffer", model.named_buffers()),
    ):
        for name, tensor in tensors:
            if not tensor.is_floating_point():
                continue
            if tensor.dtype != torch.float32:
                raise CaptureError(
                    f"{kind} {name!r} is {str(tensor.dtype).removeprefix('torch.')}; zeropoint "
                    "quantizes float32 models: pass model.float()"
                )
            if not torch.isfinite(tensor).all():
                raise CaptureError(
                    f"{kind} {name!r} holds NaN or infinity; repair or reload the weights first"
                )


def _at_least_two(x: Tensor) -> Tensor:
    """A batch of one becomes a batch of two: torch.export takes 1 for a constant of the model."""
    return torch.cat([x, x]) if x.ndim and x.shape[0] == 1 else x


def _export(model: nn.Module, example: tuple[Tensor, ...]) -> ExportedProgram:
    """The exported model, with as many free dimensions as the model allows."""
    images = dict.fromkeys(NAMED_DIMENSIONS, Dim.AUTO)
    free = tuple(images if x.ndim == 4 else {0: Dim.AUTO} for x in example)
    batch = tuple({0: Dim.AUTO} if x.ndim else {} for x in example)
    try:
        return torch.export.export(model, example, dynamic_shapes=free)
    except Exception:  # torch.export raises dozens of kinds; the second try reports
        pass
    try:
        return torch.export.export(model, example, dynamic_shapes=batch)
    except Exception as error:
        raise CaptureError(_explain(model, error)) from error


def _explain(model: nn.Module, error: Exception) -> str:
    where = users_line(error)
    first = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
    place = f" at {where}" if where else ""
    return (
        f"{type(model).__name__} cannot be captured{place}: {first.strip()} "
        "Change that line so that it does not depend on the values in a tensor (torch.where "
        "instead of if, a tensor operator instead of .item() or numpy)."
    )


class _Translation:
    """Walks the exported program's nodes in order and writes the graph."""

    def __init__(
        self,
        model: nn.Module,
        program: ExportedProgram,
        renamed: Mapping[torch.fx.Node, set[torch.fx.Node]],
    ) -> None:
        self._program = program
        self._renamed = renamed
        self._modules = dict(model.named_modules(remove_duplicate=False))
        self._to = Builder()
        self._values: dict[str, Any] = {}
        self._symbols: dict[str, str] = {}

    def graph(self) -> Graph:
        for node in self._program.graph.nodes:
            if node.op == "placeholder":
                self._values[node.name] = self._placeholder(node)
            elif node.op == "call_function":
                result = self._call(node)
                for name in self._renamed.get(node, {node}):
                    self._values[name.name] = result
            elif node.op == "get_attr":
                raise CaptureError(f"control flow on tensors ({node.target}) cannot be captured")
        return self._finish()

    def _finish(self) -> Graph:
        output = next(n for n in self._program.graph.nodes if n.op == "output")
        mutations = self._program.graph_signature.buffers_to_mutate
        leaves = [self._argument(item) for item in output.args[0]][len(mutations) :]
        for leaf in leaves:
            if not isinstance(leaf, Value):
                raise CaptureError(f"the model returns {leaf!r}; return tensors only")
        spec = self._program.call_spec.out_spec
        nested = torch.utils._pytree.tree_unflatten(leaves, spec)
        ordered = leaves_of(nested)
        return prune(self._to.done(ordered, structure_of(nested)))

    def _placeholder(self, node: torch.fx.Node) -> Value | None:
        signature = self._program.graph_signature
        for names, tensors in (
            (signature.inputs_to_parameters, self._program.state_dict),
            (signature.inputs_to_buffers, {**self._program.constants, **self._program.state_dict}),
            (signature.inputs_to_lifted_tensor_constants, self._program.constants),
        ):
            if node.name in names:
                name = names[node.name]
                return self._to.constant(name, tensors[name].detach())
        tensor = node.meta.get("val")
        if not isinstance(tensor, Tensor):
            return None
        for axis, size in enumerate(tensor.shape):
            if not isinstance(size, int) and tensor.ndim in (2, 4):
                self._symbols.setdefault(str(size), NAMED_DIMENSIONS.get(axis, str(size)))
        return self._to.input(node.name, self._shape(tensor), Plain(tensor.dtype))

    def _call(self, node: torch.fx.Node) -> Any:
        target = node.target
        if getattr(target, "__name__", "") == "getitem":
            container, index = (self._argument(item) for item in node.args)
            return container[index] if isinstance(container, tuple) else container
        arguments = [self._argument(item) for item in node.args]
        keywords = {key: self._argument(item) for key, item in node.kwargs.items()}
        self._to.origin = origin_of(node, self._modules)
        self._to.hint = self._name(node)
        if node.meta.get("val") is None:  # an assertion about sizes
            return None
        if not isinstance(target, torch._ops.OpOverload):
            return self._size_arithmetic(node, arguments)
        if node in self._renamed:
            target = pure_form(target) or target
        folded = self._folded(node, target, arguments, keywords)
        return folded or self._operator(node, str(target), arguments, keywords)

    def _operator(
        self,
        node: torch.fx.Node,
        target: str,
        arguments: Sequence[Any],
        keywords: Mapping[str, Any],
    ) -> Any:
        shapes, _ = self._results(node)
        rule = CAPTURES.get(target)
        if rule is None:
            return self._island(
                node, target, arguments, keywords, "zeropoint has no integer form for it"
            )
        captured = rule(self._to, shapes[0], *arguments, **keywords)
        if isinstance(captured, str):
            return self._island(node, target, arguments, keywords, captured)
        # Decomposed batch norm returns statistics besides, which inference never reads.
        return (captured, *[None] * (len(shapes) - 1)) if len(shapes) > 1 else captured

    def _island(
        self,
        node: torch.fx.Node,
        target: str,
        arguments: Sequence[Any],
        keywords: Mapping[str, Any],
        reason: str,
    ) -> Any:
        shapes, types = self._results(node)
        emptied, named, operands = template(arguments, keywords)
        op = Opaque(target, emptied, named, reason)
        values = self._to.emit_many(op, operands, list(zip(shapes, types, strict=True)))
        return (
            values[0] if isinstance(node.meta.get("val"), (Tensor, torch.SymInt)) else tuple(values)
        )

    def _folded(
        self,
        node: torch.fx.Node,
        target: torch._ops.OpOverload,
        arguments: Sequence[Any],
        keywords: Mapping[str, Any],
    ) -> Value | None:
        """An operator on constants only is computed now: reparametrized weights, for example."""
        emptied, named, operands = template(arguments, keywords)
        contents = [self._to.tensor(operand) for operand in operands]
        single = isinstance(node.meta.get("val"), Tensor)
        if not single or not contents or any(content is None for content in contents):
            return None
        result = Opaque(str(target), emptied, named).run(*contents)
        return self._to.constant(self._to.hint, result.detach().clone())

    def _size_arithmetic(self, node: torch.fx.Node, arguments: Sequence[Any]) -> Value:
        function = getattr(node.target, "__name__", str(node.target))
        if function not in ARITHMETIC:
            line = self._to.origin.line or "the model"
            raise CaptureError(f"{line} computes a size by {function!r}, which no graph can hold")
        numbers = tuple(None if isinstance(item, Value) else item for item in arguments)
        operands = [item for item in arguments if isinstance(item, Value)]
        op = SizeArithmetic(function, numbers)
        return self._to.emit(op, *operands, shape=(self._size(node.meta["val"]),), type=Size())

    def _results(self, node: torch.fx.Node) -> tuple[list[Shape], list[ValueType]]:
        fakes = node.meta.get("val")
        several = fakes if isinstance(fakes, (tuple, list)) else [fakes]
        shapes = [self._shape(fake) if isinstance(fake, Tensor) else (UNKNOWN,) for fake in several]
        types: list[ValueType] = [
            Plain(fake.dtype) if isinstance(fake, Tensor) else Size() for fake in several
        ]
        return shapes, types

    def _shape(self, tensor: Tensor) -> Shape:
        return tuple(self._size(size) for size in tensor.shape)

    def _size(self, size: int | torch.SymInt) -> int | str:
        if isinstance(size, int):
            return size
        return re.sub(r"\w+", lambda word: self._symbols.get(word[0], word[0]), str(size))

    def _argument(self, item: Any) -> Any:
        if isinstance(item, torch.fx.Node):
            return self._values[item.name]
        if isinstance(item, (list, tuple)):
            return [self._argument(part) for part in item]
        return item

    def _name(self, node: torch.fx.Node) -> str:
        layer = self._to.origin.layer
        own = re.sub(r"(_\d+|_default)+$", "", node.name)
        module = self._modules.get(layer)
        is_leaf = module is not None and layer != "" and not any(module.children())
        return layer if is_leaf else f"{layer}.{own}" if layer else own
