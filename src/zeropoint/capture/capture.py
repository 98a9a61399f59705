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

from zeropoint.capture.acceptance import check_finite, check_model
from zeropoint.capture.behavior import check_repeatable, check_same
from zeropoint.capture.evaluating import evaluating, unchanged
from zeropoint.capture.fixed_sizes import (
    batch_is_fixed,
    warn_of_fixed_batch,
    warn_of_fixed_sizes,
)
from zeropoint.capture.free_sizes import FreeSizes
from zeropoint.capture.inplace import functional, pure_form
from zeropoint.capture.origin import origin_of, users_line
from zeropoint.capture.regions import inline_regions
from zeropoint.capture.tape import Tape
from zeropoint.errors import CaptureError, GraphError
from zeropoint.graph.build import Builder
from zeropoint.graph.graph import Graph
from zeropoint.graph.rewrite import prune
from zeropoint.graph.structure import NUMBERS, leaves_of, structure_of_spec
from zeropoint.graph.value import UNKNOWN, Plain, Shape, Size, Value, ValueType
from zeropoint.notice import warn
from zeropoint.ops import ANY_TYPE, CAPTURES
from zeropoint.ops.identity import title
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

AS_ELEMENTS = {
    "aten.view.default": "aten.reshape.default",
    "aten._unsafe_view.default": "aten.reshape.default",
}
"""Operators that ask how memory is laid out, and what gives the same elements however it is."""

NUMBER_OF = {"aten.item.default", "aten._local_scalar_dense.default"}


def capture(model: nn.Module, example: Sequence[Tensor], tape: Tape | None = None) -> Graph:
    """The model's inference function as a graph of float operators, any batch size.

    `example` is one batch for each positional input; its contents do not matter. The model is not
    changed. The tape, if there is one, hears how constants are computed from the model's tensors.
    CaptureError names the line of the model that cannot be captured.
    """
    check_model(model)
    with evaluating(model), unchanged(model) as before, torch.no_grad():
        example = _runnable(model, example)
        few = _few(model, example)
        check_repeatable(model, few, before)
        written = before.changes()
        before.restore()
        with _torch_silent():
            program, line = _export(model, example)
        _check_written(model, program, written)
        with _torch_silent():
            inline_regions(program.graph_module)
            program, renamed = functional(program)
            with tape or nullcontext():
                graph = _Translation(model, program, renamed).graph()
        check_finite(model, graph.constants)
        fixed = batch_is_fixed(graph)
        if fixed:
            _check_batched(model, example)
        check_same(model, graph, example if fixed else few)
        warn_of_fixed_sizes(model, example, graph)
        if fixed:
            warn_of_fixed_batch(model, graph, line)
    return graph


def _runnable(model: nn.Module, example: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """The example with two samples at least, if the model runs on two; else as it is.

    torch.export takes 1 for a constant of the model.
    """
    given = tuple(example)
    one = tuple(x[:1] if x.ndim else x for x in given)
    for attempt in (tuple(_at_least_two(x) for x in given), given):
        if _failure(model, attempt) is None:
            return attempt
    if _failure(model, one) is None:
        raise CaptureError(
            f"{type(model).__name__} takes one sample at a time, and the loader yields "
            f"{len(given[0])}: yield batches of one"
        )
    error = _failure(model, given)
    assert error is not None
    raise CaptureError(_own_failure(model, given, error)) from error


def _failure(model: nn.Module, example: Sequence[Tensor]) -> Exception | None:
    """What the model itself raises on the example; None if it runs. The model stays as it is."""
    with unchanged(model):
        try:
            model(*[x.clone() for x in example])
        except Exception as error:  # whatever the user's code raises
            return error
    return None


def _few(model: nn.Module, example: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Two samples of the example, if the model runs on two."""
    few = tuple(x[:2] if x.ndim else x for x in example)
    return few if _failure(model, few) is None else example


def _at_least_two(x: Tensor) -> Tensor:
    return torch.cat([x, x]) if x.ndim and x.shape[0] == 1 else x


def _check_batched(model: nn.Module, example: tuple[Tensor, ...]) -> None:
    """CaptureError if the example is one sample that no loader has put into a batch."""
    try:
        alone, batched = (
            leaves_of(model(*xs)) for xs in (example, [x.unsqueeze(0) for x in example])
        )
        is_sample = all(torch.allclose(y[None], ys) for y, ys in zip(alone, batched, strict=True))
    except Exception:  # whatever the user's code raises: the model takes no further dimension
        return
    if is_sample:
        shapes = " and ".join(str(tuple(x.shape)) for x in example)
        raise CaptureError(
            f"the loader yields single samples, of shape {shapes}; yield batches, as "
            "torch.utils.data.DataLoader(dataset, batch_size=32) does"
        )


def _check_written(model: nn.Module, program: ExportedProgram, written: Sequence[str]) -> None:
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


Axes = dict[int, Any]  # torch's Dim.AUTO


def _export(model: nn.Module, example: tuple[Tensor, ...]) -> tuple[ExportedProgram, str]:
    """The exported model, with as many free dimensions as the model allows.

    With it comes the user's line that fixes the batch; "" if it is free.
    """
    free: list[Axes] = [
        dict.fromkeys(NAMED_DIMENSIONS.get(x.ndim, {0: "N"}), Dim.AUTO) for x in example
    ]
    batch: list[Axes] = [{0: Dim.AUTO} if x.ndim else {} for x in example]
    first = None
    with suppress(Exception):  # torch.export raises dozens of kinds; the second try reports
        program, line = _exported(model, example, free)
        if not _fixes_sizes(program) and not _fixes_batch(program):
            return program, ""
        first = None if _fixes_sizes(program) else (program, line)
    try:
        program, line = _exported(model, example, batch)
    except Exception as error:
        raise CaptureError(_explain(model, error)) from error
    if not _fixes_batch(program):
        return program, ""
    for inputs, axes in _otherwise(model, example, [free, batch]):
        with suppress(Exception):  # then it stays as it is
            other, _ = _exported(model, inputs, axes)
            if not _fixes_batch(other) or _frees(other, 1):
                return other, line
    return first or (program, line)


def _exported(
    model: nn.Module, example: tuple[Tensor, ...], axes: Sequence[Axes]
) -> tuple[ExportedProgram, str]:
    with FreeSizes() as calls:
        shapes = _by_parameter(model, tuple(axes))
        program = torch.export.export(model, example, dynamic_shapes=shapes)
    return program, calls.batch_line()


def _otherwise(
    model: nn.Module, example: tuple[Tensor, ...], free: Sequence[list[Axes]]
) -> Iterator[tuple[tuple[Tensor, ...], list[Axes]]]:
    """What else may leave a batch free: another size than the model has met, the second axis."""
    more = tuple(torch.cat([x, x[:1]]) if x.ndim else x for x in example)
    with suppress(Exception):  # whatever the user's code raises: it takes no other size
        if _follow(model, example, more):
            yield from ((more, axes) for axes in free)
    if any(x.ndim == 3 and x.shape[1] > 1 for x in example):
        yield example, [{1: Dim.AUTO} if x.ndim == 3 else {} for x in example]


def _follow(model: nn.Module, few: Sequence[Tensor], more: Sequence[Tensor]) -> bool:
    """True if each output is of as many samples as the inputs, of both."""
    for inputs in (few, more):
        counts = {len(x) for x in inputs if x.ndim}
        outputs = [y for y in leaves_of(model(*inputs)) if isinstance(y, Tensor) and y.ndim]
        if not all(len(y) in counts for y in outputs):
            return False
    return True


def _fixes_batch(program: ExportedProgram) -> bool:
    """True if no input's first dimension is free."""
    return not _frees(program, 0)


def _frees(program: ExportedProgram, axis: int) -> bool:
    """True if that dimension of some input is free."""
    names = {*program.graph_signature.user_inputs}
    fakes = [n.meta.get("val") for n in program.graph.nodes if n.name in names]
    sizes: list[Any] = [x.shape[axis] for x in fakes if isinstance(x, Tensor) and x.ndim > axis]
    return any(isinstance(n, torch.SymInt) and n.node.maybe_as_int() is None for n in sizes)


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


def _own_failure(model: nn.Module, example: Sequence[Tensor], error: Exception) -> str:
    """Why the model itself cannot run the example."""
    where = users_line(error)
    shapes = " and ".join(", ".join(["(N", *map(str, x.shape[1:])]) + ")" for x in example)
    return (
        f"{type(model).__name__} itself fails on inputs of shape {shapes}, which the loader "
        f"yields first{f', at {where}' if where else ''}: {_first_line(error)}; yield batches "
        "as for training"
    )


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
