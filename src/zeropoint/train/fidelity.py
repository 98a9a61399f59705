"""Whether the module in training has the gradients of the user's model.

A graph holds what forward() computes, not what the user has written for the way back: a backward of
one's own, a detach, a part under no_grad, a number that was taken out of a parameter. So both run
two samples back, roundings left out, both in eval mode, and every parameter's gradient is compared.
"""

import copy
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import grad

from zeropoint.capture.evaluating import evaluating
from zeropoint.errors import TrainingError
from zeropoint.graph.structure import leaves_of
from zeropoint.train.computed import copied
from zeropoint.train.method import FakeQuantizer

ALIKE = 0.05
"""Relative distance of two gradients that float32 sums in another order may explain."""

SMALL = 1e-4
"""Gradients below this share of the largest one are not looked at."""

NEARBY = 1e-2
"""How far parameters are moved from where a gradient may be a convention, relatively."""

SAMPLES = 2

Gradients = Mapping[str, Tensor]

Walk = Callable[[Any, Sequence[Tensor]], tuple[Any, ...]]


@contextmanager
def unrounded(module: nn.Module) -> Iterator[None]:
    """Every fake quantizer in it passes real numbers on; a ReLU left to its clamp is one still."""
    quantizers = [child for child in module.modules() if isinstance(child, FakeQuantizer)]
    for quantizer in quantizers:
        quantizer.__dict__["forward"] = _passed
    try:
        yield
    finally:
        for quantizer in quantizers:
            del quantizer.__dict__["forward"]


def check_gradients(
    model: nn.Module,
    trained: nn.Module,
    walk: Walk,
    example: Sequence[Tensor],
    replaced: Collection[str] = (),
) -> None:
    """TrainingError naming the parameters whose gradients are others than the model's.

    `walk` gives the outputs of a module in training, whose parameters of the `replaced` names are
    no longer the user's. Warns of parameters that it leaves as they are.
    """
    own, inputs = copied(model), samples_of(example)
    others, still = _differing(own, trained, walk, inputs, replaced)
    if others:
        others &= _in_general(own, trained, walk, inputs, replaced)
    if others:
        raise TrainingError(_why(own, inputs, sorted(others)))
    if still:
        warnings.warn(
            f"{_listed(sorted(still))} will not be trained: the graph holds as a number what the "
            "model takes out of it",
            stacklevel=3,
        )


def _in_general(
    model: nn.Module,
    trained: nn.Module,
    walk: Walk,
    inputs: Sequence[Tensor],
    replaced: Collection[str],
) -> set[str]:
    """The parameters whose gradients differ away from kinks, where a derivative is no convention.

    At the very bound of a clamp, as in a channel of zeros, or within float32's noise of it, two
    ways of writing one function have different gradients. So both compute in float64, from
    parameters that are moved a little.
    """
    exact, mine = copied(model).double(), copy.deepcopy(trained).double()
    moved = dict(mine.named_parameters())
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in exact.named_parameters():
            if name in moved and name not in replaced:
                noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
                step = noise.to(parameter) * NEARBY * (parameter.abs().mean() + NEARBY)
                parameter.add_(step)
                moved[name].add_(step)
    wide = [x.double() if x.is_floating_point() else x for x in inputs]
    try:
        return _differing(exact, mine, walk, wide, replaced)[0]
    except Exception:  # the user's code may ask for float32
        return set(moved)


def _differing(
    own: nn.Module,
    trained: nn.Module,
    walk: Walk,
    inputs: Sequence[Tensor],
    replaced: Collection[str],
) -> tuple[set[str], set[str]]:
    """The parameters whose gradients are others than the user's; and those that have none left."""
    with evaluating(own), torch.enable_grad(), seeded():
        expected = _gradients(own, leaves_of(own(*inputs)))
    with evaluating(trained), unrounded(trained), torch.enable_grad(), seeded():
        found = _gradients(trained, list(walk(trained, inputs)))
    names = dict(own.named_parameters()).keys() & dict(trained.named_parameters()).keys()
    largest = max((float(gradient.norm()) for gradient in expected.values()), default=1.0)
    others, still = set(), set()
    for name in names - set(replaced):
        gradient, mine = expected.get(name), found.get(name)
        if max(_norm(gradient), _norm(mine)) <= SMALL * largest:
            continue
        if not trained.get_parameter(name).requires_grad:
            still.add(name)
        elif gradient is None or mine is None or _norm(gradient - mine) > ALIKE * _norm(gradient):
            others.add(name)
    return others, still


def samples_of(example: Sequence[Tensor]) -> list[Tensor]:
    """The few samples that are looked at."""
    return [_numbers(x[:SAMPLES]) for x in example]


def _norm(gradient: Tensor | None) -> float:
    return 0.0 if gradient is None else float(gradient.norm())


def _gradients(module: nn.Module, outputs: Sequence[Any]) -> Gradients:
    """The gradients of a fixed sum of the outputs, by parameter; none of what it does not reach."""
    real = [y for y in outputs if isinstance(y, Tensor) and y.requires_grad]
    named = {name: p for name, p in module.named_parameters() if p.requires_grad}
    if not real or not named:
        return {}
    total = torch.stack([(y.double() * _weights(y)).sum() for y in real]).sum()
    found = grad(total, list(named.values()), allow_unused=True)
    return {name: g for name, g in zip(named, found, strict=True) if g is not None and g.any()}


def _weights(y: Tensor) -> Tensor:
    generator = torch.Generator().manual_seed(y.numel())
    return torch.randn(y.shape, generator=generator, dtype=torch.float64).to(y.device)


def _numbers(x: Tensor) -> Tensor:
    """The samples; where they are blank, as of statistics, something to look at."""
    if not x.is_floating_point() or x.any():
        return x
    return torch.rand(x.shape, generator=torch.Generator().manual_seed(0)).to(x)


@contextmanager
def seeded() -> Iterator[None]:
    """Random numbers are the same ones each time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def _why(model: nn.Module, inputs: Sequence[Tensor], names: Sequence[str]) -> str:
    functions = _functions_of_the_user(model, inputs)
    reason = (
        f"{_listed(functions)}, whose backward is not the derivative of its forward"
        if functions
        else "a detach(), a part under no_grad() or a gradient hook"
    )
    return (
        f"training would change {_listed(names)} otherwise than your model does: it has {reason}, "
        "and the graph that is trained holds forward() alone; take it out, or freeze what it stops "
        "with requires_grad_(False)"
    )


def _functions_of_the_user(model: nn.Module, inputs: Sequence[Tensor]) -> list[str]:
    """The autograd functions in a pass that are not torch's, each with the layer that calls it."""
    found: dict[str, None] = {}
    visited: set[Any] = set()

    def look(path: str, outputs: Any) -> None:
        pending = [y.grad_fn for y in leaves_of(outputs) if isinstance(y, Tensor)]
        while pending:
            node = pending.pop()
            if node is None or node in visited:
                continue
            visited.add(node)
            kind = getattr(type(node), "_forward_cls", None)
            if kind is not None and not kind.__module__.startswith("torch."):
                found.setdefault(f"{kind.__name__} in {path or type(model).__name__}")
            pending.extend(following for following, _ in node.next_functions)

    handles = [
        module.register_forward_hook(lambda _, __, outputs, path=path: look(path, outputs))
        for path, module in model.named_modules()
    ]
    try:
        with evaluating(model), torch.enable_grad():
            model(*inputs)
    finally:
        for handle in handles:
            handle.remove()
    return list(found)


def _passed(x: Tensor, *, after_relu: bool = False) -> Tensor:
    return x.relu() if after_relu else x


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:3])
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown
