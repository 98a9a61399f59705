"""What the user wants: how weights and activations are quantized, and which layers otherwise."""

import difflib
import fnmatch
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from torch import nn

from zeropoint.arithmetic.granularity import Granularity, PerChannel, PerTensor
from zeropoint.errors import RecipeError
from zeropoint.graph.graph import Origin
from zeropoint.observe.calibrator import Calibrator
from zeropoint.observe.min_max import MinMax
from zeropoint.observe.mse import MSE

BITS = range(2, 9)


@dataclass(frozen=True)
class TensorSpec:
    """How one kind of tensor is quantized. `bits` is 2 to 8."""

    bits: int = 8
    symmetric: bool = False
    granularity: Granularity = PerTensor()
    calibrator: Calibrator = MSE()

    def __post_init__(self) -> None:
        if self.bits not in BITS:
            raise RecipeError(
                f"bits={self.bits!r} is not a width that zeropoint quantizes to; "
                f"use {BITS[0]} to {BITS[-1]}, or None for the layer to keep it float"
            )


WEIGHTS = TensorSpec(symmetric=True, granularity=PerChannel(), calibrator=MinMax())
ACTIVATIONS = TensorSpec()


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
