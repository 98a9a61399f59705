"""An exported program as a graph: one capture rule an operator; what has none is an island."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.export.graph_signature import OutputKind

from zeropoint.capture.exporting import NAMED_DIMENSIONS
from zeropoint.capture.inplace import pure_form
from zeropoint.capture.origin import origin_of
from zeropoint.errors import CaptureError, GraphError
from zeropoint.graph.build import Builder
from zeropoint.graph.graph import Graph
from zeropoint.graph.rewrite import prune
from zeropoint.graph.structure import NUMBERS, structure_of_spec
from zeropoint.graph.value import UNKNOWN, Plain, Shape, Size, Value, ValueType
from zeropoint.ops import ANY_TYPE, CAPTURES
from zeropoint.ops.identity import title
from zeropoint.ops.opaque import Opaque, called, is_functional, template
from zeropoint.ops.shape import ARITHMETIC, SizeArithmetic

MAKERS = {
    "aten.arange.default",
    "aten.arange.start",
    "aten.arange.start_step",
    "aten.eye.default",
    "aten.eye.m",
    "aten.full.default",
    "aten.linspace.default",
    "aten.ones.default",
    "aten.scalar_tensor.default",
    "aten.zeros.default",
}
"""Operators that make the same tensor at every run, if their operands are numbers."""

AS_ELEMENTS = {
    "aten.view.default": "aten.reshape.default",
    "aten._unsafe_view.default": "aten.reshape.default",
}
"""Operators that ask how memory is laid out, and what gives the same elements however it is."""

NUMBER_OF = {"aten.item.default", "aten._local_scalar_dense.default"}


class Translation:
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
                raise CaptureError(self._about_a_region(node))
        return self._finish()

    def _about_a_region(self, node: torch.fx.Node) -> str:
        """The sentence about a part of the model that torch.export keeps as a graph of its own."""
        user = next(iter(node.users))
        line = origin_of(user, self._modules).line or "the model"
        return (
            f"{line} cannot be captured: a part of the model runs under {user.target}; choose with "
            "torch.where instead of torch.cond, and take autocast out"
        )

    def _finish(self) -> Graph:
        output = next(n for n in self._program.graph.nodes if n.op == "output")
        specs = self._program.graph_signature.output_specs  # mutated inputs and buffers come first
        leaves = [
            self._argument(item)
            for item, spec in zip(output.args[0], specs, strict=True)
            if spec.kind is OutputKind.USER_OUTPUT
        ]
        for leaf in leaves:
            if not isinstance(leaf, (Value, type(None), *NUMBERS)):
                raise CaptureError(f"the model returns {leaf!r}; return tensors only")
        spec = self._program.call_spec.out_spec
        assert spec is not None  # an exported program has one
        outputs = [leaf for leaf in leaves if isinstance(leaf, Value)]
        if not outputs:
            raise CaptureError(
                f"the model returns no tensor, but {leaves}; there is nothing to run"
            )
        return prune(self._to.done(outputs, structure_of_spec(spec, leaves)))

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
        names = NAMED_DIMENSIONS.get(tensor.ndim, {0: "N"})
        if tensor.ndim == 3 and isinstance(self._size(tensor.shape[0]), int):
            names = {1: "N", 2: "L"}  # a sequence first, then its batch
        for axis, size in enumerate(tensor.shape):
            name = names.get(axis)
            taken = name in self._symbols.values()  # by another size: two images may differ
            if not isinstance(self._size(size), int) and name is not None and not taken:
                self._symbols.setdefault(str(size), name)
        return self._to.input(node.name, self._shape(tensor), Plain(tensor.dtype))

    def _call(self, node: torch.fx.Node) -> Any:
        target = node.target
        if getattr(target, "__name__", "") == "getitem":
            container, index = (self._argument(item) for item in node.args)
            return container[index] if isinstance(container, (tuple, list)) else container
        arguments = [self._argument(item) for item in node.args]
        keywords = {key: self._argument(item) for key, item in node.kwargs.items()}
        self._to.origin = origin_of(node, self._modules)
        self._to.hint = self._name(node)
        if node.meta.get("val") is None or isinstance(node.meta["val"], torch.SymBool):
            return None  # an assertion about sizes
        if not isinstance(target, torch._ops.OpOverload):
            return self._size_arithmetic(node, arguments)
        if str(target) in NUMBER_OF:
            return self._number(arguments[0])
        if node in self._renamed:
            target = pure_form(target) or target
        folded = self._folded(node, target, arguments, keywords)
        return folded or self._operator(node, str(target), arguments, keywords)

    def _number(self, value: Value) -> Any:  # int, float or bool
        tensor = self._to.tensor(value)
        if tensor is not None:
            return tensor.item()
        line = self._to.origin.line or "the model"
        raise CaptureError(
            f"{line} takes a number out of a tensor that only the run knows; use a tensor operator "
            "instead of .item(), int() or float()"
        )

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
        alien = self._alien(node, target, [*arguments, *keywords.values()])
        if alien is not None:
            return self._island(node, target, arguments, keywords, alien)
        listed = isinstance(node.meta.get("val"), list)
        captured = rule(self._to, shapes if listed else shapes[0], *arguments, **keywords)
        if isinstance(captured, Value) and _reads_others(node):
            captured = "it returns where its maxima are, or other statistics, besides"
        if isinstance(captured, str):
            return self._island(node, target, arguments, keywords, captured)
        # Decomposed batch norm returns statistics besides, which inference never reads.
        is_first = isinstance(captured, Value) and len(shapes) > 1
        return (captured, *[None] * (len(shapes) - 1)) if is_first else captured

    def _alien(self, node: torch.fx.Node, target: str, arguments: Sequence[Any]) -> str | None:
        """Why no rule is asked about a call: it is not of float32. None if a rule is."""
        if target in ANY_TYPE:
            return None
        operands = template(arguments, {})[2]
        read = [v.type for v in operands if self._to.tensor(v) is None]
        _, written = self._results(node)
        if not isinstance(node.meta.get("val"), list):
            written = written[:1]  # indices and statistics besides, which a rule does not give
        types = [type.dtype for type in (*read, *written) if isinstance(type, Plain)]
        found = next((dtype for dtype in types if dtype != torch.float32), None)
        return None if found is None else f"it computes with {title(found)}"

    def _island(
        self,
        node: torch.fx.Node,
        target: str,
        arguments: Sequence[Any],
        keywords: Mapping[str, Any],
        reason: str,
    ) -> Any:
        shapes, types = self._results(node)
        if "as_strided" in target:
            line = self._to.origin.line or "the model"
            raise CaptureError(
                f"{line} reads memory by strides, and a quantized network lays its memory out "
                "otherwise; index, unfold or reshape the tensor instead of as_strided"
            )
        emptied, named, operands = template(arguments, keywords)
        op = Opaque(AS_ELEMENTS.get(target, target), emptied, named, reason)
        self._check_island(op)
        values = self._to.emit_many(op, operands, list(zip(shapes, types, strict=True)))
        return (
            values[0] if isinstance(node.meta.get("val"), (Tensor, torch.SymInt)) else tuple(values)
        )

    def _check_island(self, op: Opaque) -> None:
        """What no file could hold is refused before anything is calibrated."""
        try:
            op.check()
        except GraphError as error:
            line = self._to.origin.line or "the model"
            raise CaptureError(f"{line} cannot be captured: {error}") from error

    def _folded(
        self,
        node: torch.fx.Node,
        target: torch._ops.OpOverload,
        arguments: Sequence[Any],
        keywords: Mapping[str, Any],
    ) -> Value | list[Value] | None:
        """An operator on constants only is computed now: reparametrized weights, for example."""
        emptied, named, operands = template(arguments, keywords)
        contents = [self._to.tensor(operand) for operand in operands]
        known = isinstance(node.meta.get("val"), (Tensor, list)) and is_functional(target)
        if not contents and str(target) not in MAKERS:
            return None
        if not known or any(content is None for content in contents):
            return None
        result = called(target, emptied, named, contents)
        if isinstance(result, tuple):
            return [self._constant(piece) for piece in result]
        one = self._constant(result)
        return [one] if isinstance(node.meta["val"], list) else one

    def _constant(self, tensor: Tensor) -> Value:
        return self._to.constant(self._to.hint, tensor.detach().clone())

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
        found: int | None = size.node.maybe_as_int()  # torch came to know it while it exported
        if found is not None:
            return found
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


def _reads_others(node: torch.fx.Node) -> bool:
    """True if somebody reads another result of the operator than its first."""
    return isinstance(node.meta.get("val"), tuple) and any(
        user.args[1] != 0 and user.users
        for user in node.users
        if getattr(user.target, "__name__", "") == "getitem"
    )
