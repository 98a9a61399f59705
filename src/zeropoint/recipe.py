"""What the user wants: how weights and activations are quantized, and which layers otherwise."""

import difflib
import fnmatch
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from torch import nn

from zeropoint.arithmetic.granularity import Granularity, PerChannel, PerTensor
from zeropoint.errors import RecipeError
from zeropoint.graph.graph import Origin
from zeropoint.observe.best import CALIBRATORS, Best
from zeropoint.observe.calibrator import Calibrator
from zeropoint.observe.min_max import MinMax
from zeropoint.observe.mse import MSE

BITS = range(2, 9)


NOT_GIVEN: Any = None  # stands for a value of whatever type the field has, until it is filled in


@dataclass(frozen=True)
class TensorSpec:
    """How one kind of tensor is quantized. `bits` is 2 to 8.

    What is not given is as usual for what a Recipe uses the specification for: weights are
    symmetric, with a scale for each channel and nothing clipped; activations are affine, per
    tensor, by MSE(). A granularity or a calibrator may also be given as a class or by name.
    """

    bits: int = NOT_GIVEN
    symmetric: bool = NOT_GIVEN
    granularity: Granularity = NOT_GIVEN
    calibrator: Calibrator = NOT_GIVEN
    open: frozenset[str] = field(init=False, repr=False, compare=False)
    """The fields that were not given, and hold what is usual for activations."""

    def __post_init__(self) -> None:
        given = {name: getattr(self, name) for name in USUAL}
        missing = frozenset(name for name, value in given.items() if value is None)
        object.__setattr__(self, "open", missing)
        for name, value in given.items():
            found = USUAL[name] if value is None else MEANT[name](value)
            object.__setattr__(self, name, found)

    def filled(self, usual: "TensorSpec") -> "TensorSpec":
        """The specification, with what was not given as in another."""
        return replace(self, **{name: getattr(usual, name) for name in self.open})


def _bits(value: object) -> int:
    is_whole = isinstance(value, int | float | np.integer) and not isinstance(value, bool)
    if not is_whole or value not in BITS:
        raise RecipeError(
            f"bits={value!r} is not a width that zeropoint quantizes to; "
            f"use {BITS[0]} to {BITS[-1]}, or None for the layer to keep it float"
        )
    return BITS[BITS.index(value)]  # type: ignore[arg-type]  # 8.0 is 8


def _flag(name: str, value: object) -> bool:
    if not isinstance(value, bool | np.bool_):
        raise RecipeError(f"{name}={value!r}; use True or False")
    return bool(value)


def _one_of(field: str, kinds: Sequence[Any], value: Any) -> Any:  # an instance of one kind
    """The value that an instance, a class or a name means."""
    known = {type(kind).__name__: kind for kind in kinds}
    if isinstance(value, str):
        found = {_plain(name): kind for name, kind in known.items()}.get(_plain(value))
    elif isinstance(value, type):
        found = known.get(value.__name__) if type(known.get(value.__name__)) is value else None
    else:
        found = value if isinstance(value, PARENTS[field]) else None
    if found is None:
        near = difflib.get_close_matches(str(value), known, n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]}()?" if near else ""
        spelled = ", ".join(f"{name}()" for name in known)
        raise RecipeError(f"{field}={value!r} is none that zeropoint knows: use {spelled}{hint}")
    return found


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "").replace(" ", "").removesuffix("()")


PARENTS: Mapping[str, Any] = {"granularity": Granularity, "calibrator": Calibrator}
USUAL: Mapping[str, Any] = {
    "bits": 8, "symmetric": False, "granularity": PerTensor(), "calibrator": MSE()
}  # fmt: skip
MEANT: Mapping[str, Callable[[Any], Any]] = {
    "bits": _bits,
    "symmetric": partial(_flag, "symmetric"),
    "granularity": partial(_one_of, "granularity", (PerTensor(), PerChannel())),
    "calibrator": partial(_one_of, "calibrator", (*CALIBRATORS, Best())),
}

WEIGHTS = TensorSpec(8, symmetric=True, granularity=PerChannel(), calibrator=MinMax())
ACTIVATIONS = TensorSpec(**USUAL)


@dataclass(frozen=True)
class Recipe:
    """Weights, activations, and overrides by layer.

    An override's key is a layer's path ("layer1.0.conv1", which also covers what is inside it), a
    pattern ("layer1.*"), or a module class (nn.Linear); its value is another Recipe, or None to
    keep the layer float. A path beats a pattern, a pattern beats a class; the later of two
    patterns wins. The name of an input ("x") is a key as well: without one, the input is quantized
    as the layer that reads it asks.

    `bias_correction` takes off each bias what the rounding of its layer's weights shifts, in the
    mean over the samples.

    `gptq` rounds each weight up or down so that it makes up for the errors of those before it, as
    far as the samples show that it can; Statistics do not show it.

    `equalize` brings the channels of activations to like sizes, where the weights on both sides of
    them can take that up; not in training, and Statistics do not show the channels.

    `residuals`, if given, is for the values that additions read and write: a residual stream of
    more bits than the layers' operands, which then are a requantized copy of it.
    """

    weights: TensorSpec = WEIGHTS
    activations: TensorSpec = ACTIVATIONS
    residuals: TensorSpec | None = None
    overrides: Mapping[str | type[nn.Module], "Recipe | None"] = field(default_factory=dict)
    bias_correction: bool = True
    gptq: bool = True
    equalize: bool = True

    def __post_init__(self) -> None:
        self._fill()
        for kind, spec in (("activations", self.activations), ("residuals", self.residuals)):
            if spec is not None and spec.granularity != PerTensor():
                raise RecipeError(
                    f"{kind} ask for {spec.granularity}; no integer kernel has a "
                    "scale for each channel of its input: use PerTensor()"
                )
        if self.weights.granularity not in (PerTensor(), PerChannel()):
            raise RecipeError(
                f"weights ask for {self.weights.granularity}; the output channel is axis 0: "
                "use PerChannel() or PerTensor()"
            )

    def _fill(self) -> None:
        """Put in place of each field what it means; RecipeError if it means nothing."""
        overrides = self.overrides
        if not isinstance(overrides, Mapping):
            raise RecipeError(
                f"overrides={overrides!r}; use a dict of layers and their recipes, such as "
                '{"fc": None}'
            )
        meant = {
            "weights": _spec("weights", self.weights, WEIGHTS),
            "activations": _spec("activations", self.activations, ACTIVATIONS),
            "overrides": {_key(key): _override(key, value) for key, value in overrides.items()},
        }
        if self.residuals is not None:
            meant["residuals"] = _spec("residuals", self.residuals, ACTIVATIONS)
        for name in ("bias_correction", "gptq", "equalize"):
            meant[name] = _flag(name, getattr(self, name))
        for name, value in meant.items():
            object.__setattr__(self, name, value)

    def for_layer(self, origin: Origin) -> "Recipe | None":
        """The recipe of one layer: an override, or this recipe itself."""
        matches = [key for key in self.overrides if covers(key, origin)]
        if not matches:
            return self
        # sorted() is stable, so the last of the most specific keys is the later one.
        return self.overrides[sorted(matches, key=lambda key: _specificity(key, origin))[-1]]

    def check_layers(
        self, captured: Iterable[Origin], kept: Iterable[Origin], *, inputs: Collection[str] = ()
    ) -> None:
        """RecipeError for a key that matches no layer, or only layers that passes have absorbed.

        `inputs` are the names of the model's inputs, which keys may name besides.
        """
        captured, kept = tuple(captured), tuple(kept)
        for key, recipe in self.overrides.items():
            if not any(covers(key, origin) for origin in captured):
                if key not in inputs:
                    raise RecipeError(_unknown(key, captured, inputs))
                if recipe is None:
                    raise RecipeError(
                        f"override {key!r} is None, but {key!r} is an input, which is quantized "
                        "where an integer layer reads it; keep that layer float instead"
                    )
                continue
            if not any(covers(key, origin) for origin in kept):
                raise RecipeError(
                    f"override {_spelled(key)} names only layers that are folded into "
                    "their neighbours (batch norm, activations, additions); name the convolution "
                    "or linear layer instead"
                )


def checked(recipe: object) -> Recipe:
    """A recipe as it was passed, the usual one for None; RecipeError if it is something else."""
    if recipe is None:
        return Recipe()
    if not isinstance(recipe, Recipe):
        raise RecipeError(
            f"recipe={recipe!r} is a {type(recipe).__name__}; pass a zeropoint.Recipe, such as "
            "Recipe(weights=TensorSpec(bits=4))"
        )
    return recipe


def _spec(kind: str, value: object, usual: TensorSpec) -> TensorSpec:
    if isinstance(value, TensorSpec):
        return value.filled(usual)
    if value is None:
        raise RecipeError(
            f"{kind}=None: zeropoint computes with integer weights and activations, or not in "
            "integers at all; leave it out for 8 bits, or keep a layer float: "
            'overrides={"fc": None}'
        )
    raise RecipeError(f"{kind}={value!r} is no TensorSpec; use TensorSpec(bits=8), for example")


def _key(key: object) -> str | type[nn.Module]:
    if isinstance(key, str) or (isinstance(key, type) and issubclass(key, nn.Module)):
        return key
    raise RecipeError(
        f"override {key!r} is a {type(key).__name__}; name layers by a path "
        '("layer1.0.conv1"), a pattern ("layer1.*") or a module class (nn.Linear)'
    )


def _override(key: object, value: object) -> "Recipe | None":
    if value is None or value is False:
        return None
    if isinstance(value, Recipe):
        return value
    extra = ""
    if isinstance(value, TensorSpec):
        extra = "say whether it is for the weights or the activations: Recipe(weights=...); "
    raise RecipeError(
        f"override {key!r} is {value!r}; {extra}use a Recipe, or None to keep the layer float"
    )


def covers(key: str | type[nn.Module], origin: Origin) -> bool:
    """True if an override's key speaks of the layer."""
    if isinstance(key, type):
        return f"{key.__module__}.{key.__qualname__}" in origin.types
    layer = origin.layer
    return layer == key or layer.startswith(f"{key}.") or fnmatch.fnmatchcase(layer, key)


def _specificity(key: str | type[nn.Module], origin: Origin) -> tuple[int, int]:
    if isinstance(key, type):
        return (0, 0)
    if any(sign in key for sign in "*?["):
        return (1, 0)
    return (2, len(key))


def _unknown(
    key: str | type[nn.Module], origins: tuple[Origin, ...], inputs: Collection[str]
) -> str:
    if isinstance(key, type):
        return f"override {_spelled(key)}: the model has no layer of that class"
    names = sorted({origin.layer for origin in origins if origin.layer})
    near = difflib.get_close_matches(key, [*names, *inputs], n=1, cutoff=0.0)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"override {key!r} matches no layer of the model{hint}"


def _spelled(key: str | type[nn.Module]) -> str:
    return key.__name__ if isinstance(key, type) else repr(key)
