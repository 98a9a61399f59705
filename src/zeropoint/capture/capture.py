"""nn.Module -> Graph, through torch.export.

    1. check       float32 parameters, all finite
    2. export      torch.export in eval mode; batch and image size free where the model allows it
    3. inline      parts under a disabled autocast, or under a gradient mode (regions.py)
    4. functional  in-place operators become pure ones (inplace.py)
    5. translate   one capture rule an operator (ops/); what has none becomes a float island

Every node keeps the layer it came from and the user's line.
"""

import inspect
import io
import logging
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, redirect_stderr, suppress
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram
from torch.export.graph_signature import OutputKind

from zeropoint.capture.evaluating import evaluating
from zeropoint.capture.fixed_sizes import warn_of_fixed_sizes
from zeropoint.capture.free_sizes import FreeSizes
from zeropoint.capture.inplace import functional, pure_form
from zeropoint.capture.origin import origin_of, users_line
from zeropoint.capture.regions import inline_regions
from zeropoint.capture.tape import Tape
from zeropoint.errors import CaptureError, GraphError
from zeropoint.graph.build import Builder
from zeropoint.graph.graph import Graph
from zeropoint.graph.rewrite import prune
from zeropoint.graph.structure import leaves_of, structure_of
from zeropoint.graph.value import UNKNOWN, Plain, Shape, Size, Value, ValueType
from zeropoint.ops import CAPTURES
from zeropoint.ops.opaque import Opaque, called, is_functional, template
from zeropoint.ops.shape import ARITHMETIC, SizeArithmetic

NAMED_DIMENSIONS = {
    2: {0: "N"},
    3: {0: "N", 2: "L"},
    4: {0: "N", 2: "H", 3: "W"},
    5: {0: "N", 2: "D", 3: "H", 4: "W"},
}
"""What the free dimensions of an input are called, by how many it has: (N, C, H, W) has four."""

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

NUMBER_OF = {"aten.item.default", "aten._local_scalar_dense.default"}


def capture(model: nn.Module, example: Sequence[Tensor], tape: Tape | None = None) -> Graph:
    """The model's inference function as a graph of float operators, any batch size.

    `example` is one batch for each positional input; its contents do not matter. The model is not
    changed. The tape, if there is one, hears how constants are computed from the model's tensors.
    CaptureError names the line of the model that cannot be captured.
    """
    _check_kind(model)
    _check_parameters(model)
    with evaluating(model), torch.no_grad():
        with _torch_silent(), FreeSizes():
            program = _export(model, tuple(_at_least_two(x) for x in example))
            inline_regions(program.graph_module)
            program, renamed = functional(program)
            with tape or nullcontext():
                graph = _Translation(model, program, renamed).graph()
        warn_of_fixed_sizes(model, example, graph)
    return graph


def _check_kind(model: nn.Module) -> None:
    if isinstance(model, torch.jit.ScriptModule) or hasattr(model, "_orig_mod"):
        how = "torch.compile" if hasattr(model, "_orig_mod") else "torch.jit"
        raise CaptureError(
            f"the model went through {how}, which hides its layers; pass the nn.Module from before"
        )


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
    free = tuple(dict.fromkeys(NAMED_DIMENSIONS.get(x.ndim, {0: "N"}), Dim.AUTO) for x in example)
    batch = tuple({0: Dim.AUTO} if x.ndim else {} for x in example)
    with suppress(Exception):  # torch.export raises dozens of kinds; the second try reports
        program = torch.export.export(model, example, dynamic_shapes=_by_parameter(model, free))
        if not _fixes_sizes(program):
            return program
    try:
        return torch.export.export(model, example, dynamic_shapes=_by_parameter(model, batch))
    except Exception as error:
        raise CaptureError(_own_failure(model, example) or _explain(model, error)) from error


def _by_parameter(model: nn.Module, shapes: tuple[Any, ...]) -> tuple[Any, ...]:
    """One entry for each parameter of forward(); those of *inputs are an entry together."""
    kinds = [parameter.kind for parameter in inspect.signature(model.forward).parameters.values()]
    if inspect.Parameter.VAR_POSITIONAL not in kinds:
        return shapes
    before = kinds.index(inspect.Parameter.VAR_POSITIONAL)
    together = shapes[before:]
    return (*shapes[:before], together) if together else shapes


def _fixes_sizes(program: ExportedProgram) -> bool:
    """True if the graph holds for some heights and widths only, though none of them is a number.

    A linear layer after a flatten fixes height x width; `int(0.75 * height)` is a number in the
    graph. Then the example's height and width are taken for fixed, each of them: engines lay
    weights out for sizes that they know.
    """
    fakes = [node.meta.get("val") for node in program.graph.find_nodes(op="placeholder")]
    sizes: list[Any] = [size for fake in fakes if isinstance(fake, Tensor) for size in fake.shape]
    free = [size.node for size in sizes if isinstance(size, torch.SymInt)]
    if not free:
        return False
    twice = {node.expr: 2 * node.hint for node in free if node.expr.is_Symbol}
    guards = [guard.expr for guard in free[0].shape_env.guards]
    return any(
        str(guard).startswith("Eq(")
        and guard.rhs.is_number
        and set() < guard.free_symbols <= twice.keys()
        and not guard.xreplace(twice)  # else it is about what divides them
        for guard in guards
    )


def _own_failure(model: nn.Module, example: tuple[Tensor, ...]) -> str | None:
    """Why the model itself cannot run the example; None if it can."""
    try:
        with torch.no_grad():
            model(*example)
    except Exception as error:  # whatever the user's code raises
        where = users_line(error)
        shapes = " and ".join(", ".join(["(N", *map(str, x.shape[1:])]) + ")" for x in example)
        return (
            f"{type(model).__name__} itself fails on inputs of shape {shapes}, which the loader "
            f"yields first{f', at {where}' if where else ''}: {_first_line(error)}; yield batches "
            "as for training"
        )
    return None


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), repr(error))


def _explain(model: nn.Module, error: Exception) -> str:
    where = users_line(error)
    name = type(model).__name__
    if not where:
        return f"{name} cannot be captured: {_first_line(error)}"
    return (
        f"{name} cannot be captured at {where}: {_first_line(error)} "
        "Change that line so that it does not depend on the values in a tensor (torch.where "
        "instead of if, a tensor operator instead of .item() or numpy)."
    )


def _reads_others(node: torch.fx.Node) -> bool:
    """True if somebody reads another result of the operator than its first."""
    return isinstance(node.meta.get("val"), tuple) and any(
        user.args[1] != 0 and user.users
        for user in node.users
        if getattr(user.target, "__name__", "") == "getitem"
    )


@contextmanager
def _torch_silent() -> Iterator[None]:
    """Nothing of what torch.export says on the way: where it fails, our error says why."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


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
            if leaf is not None and not isinstance(leaf, Value):
                raise CaptureError(f"the model returns {leaf!r}; return tensors only")
        nested = torch.utils._pytree.tree_unflatten(leaves, self._program.call_spec.out_spec)
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
        if tensor.ndim >= 3 and isinstance(self._size(tensor.shape[0]), int):
            raise CaptureError(
                f"the model fixes its batch size (input {node.name!r}), as len(x), int(x.shape[0]) "
                "or a number in a reshape do; write x.shape[0] or -1 in its place"
            )
        for axis, size in enumerate(tensor.shape):
            name = NAMED_DIMENSIONS.get(tensor.ndim, {}).get(axis)
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
        listed = isinstance(node.meta.get("val"), list)
        captured = rule(self._to, shapes if listed else shapes[0], *arguments, **keywords)
        if isinstance(captured, Value) and _reads_others(node):
            captured = "it returns where its maxima are, or other statistics, besides"
        if isinstance(captured, str):
            return self._island(node, target, arguments, keywords, captured)
        # Decomposed batch norm returns statistics besides, which inference never reads.
        is_first = isinstance(captured, Value) and len(shapes) > 1
        return (captured, *[None] * (len(shapes) - 1)) if is_first else captured

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
