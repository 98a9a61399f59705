"""What an analysis finds, and the change of the recipe that it proposes, as data.

Edit      what changes in one TensorSpec
Change    what changes in the recipe of one layer
Finding   what is wrong there, why it matters, what to do, and what that should gain
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

from zeropoint.arithmetic.granularity import Granularity
from zeropoint.graph.graph import Origin
from zeropoint.observe.calibrator import Calibrator
from zeropoint.recipe import Recipe, TensorSpec


@dataclass(frozen=True)
class Edit:
    """What changes in a TensorSpec; a field that is None stays as it is."""

    bits: int | None = None
    symmetric: bool | None = None
    granularity: Granularity | None = None
    calibrator: Calibrator | None = None

    def applied_to(self, spec: TensorSpec) -> TensorSpec:
        """The specification with the change."""
        return replace(spec, **self._changes())

    def __iter__(self) -> Iterator[str]:
        return iter(self._changes())

    def __str__(self) -> str:
        return ", ".join(f"{name}={value!r}" for name, value in self._changes().items())

    def _changes(self) -> dict[str, Any]:  # the fields of a TensorSpec by their names
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value is not None}


@dataclass(frozen=True)
class Change:
    """A change of one layer's recipe: an override under `key`.

    It starts from the recipe that the layer at `origin` has, so all else of that recipe stays.
    `quantize` is for a layer that an override keeps float.
    """

    key: str
    origin: Origin
    weights: Edit | None = None
    activations: Edit | None = None
    keep_float: bool = False
    quantize: bool = False

    def applied_to(self, recipe: Recipe) -> Recipe:
        """The recipe with the change; the same one where it does not apply."""
        if self.quantize:
            return self._without_float(recipe)
        current = _current(recipe, self.key, self.origin)
        if current is None:
            return recipe
        return replace(recipe, overrides={**recipe.overrides, self.key: self._edited(current)})

    @property
    def touches(self) -> frozenset[tuple[str, str]]:
        """The fields of the layer's recipe that it changes: ("weights", "bits") and the like."""
        edits = {"weights": self.weights, "activations": self.activations}
        if self.keep_float or self.quantize:
            return frozenset((name, field.name) for name in edits for field in fields(Edit))
        return frozenset((name, field) for name, edit in edits.items() if edit for field in edit)

    def __str__(self) -> str:
        if self.keep_float:
            return f"{self.key!r}: None"
        if self.quantize:
            return f"{self.key!r}: no override"
        edits = {"weights": self.weights, "activations": self.activations}
        return f"{self.key!r}: " + "; ".join(
            f"{name} {edit}" for name, edit in edits.items() if edit
        )

    def _edited(self, current: Recipe) -> Recipe | None:
        if self.keep_float:
            return None
        edited = replace(current, overrides={})
        if self.weights:
            edited = replace(edited, weights=self.weights.applied_to(current.weights))
        if self.activations:
            activations = self.activations.applied_to(current.activations)
            edited = replace(edited, activations=activations)
        return edited

    def _without_float(self, recipe: Recipe) -> Recipe:
        """The recipe in which nothing keeps the layer float."""
        others = {key: value for key, value in recipe.overrides.items() if key != self.key}
        dropped = replace(recipe, overrides=others)
        if dropped.for_layer(self.origin) is not None:
            return dropped
        return replace(dropped, overrides={**others, self.key: replace(recipe, overrides={})})


def _current(recipe: Recipe, key: str, origin: Origin) -> Recipe | None:
    """The recipe that an override under `key` replaces."""
    return recipe.overrides[key] if key in recipe.overrides else recipe.for_layer(origin)


@dataclass(frozen=True)
class Finding:
    """One thing that costs accuracy or speed, in words, and the change that mends it.

    `own_gain_db` is predicted for the layer's own SQNR, `output_gain_db` for the network's
    outputs; None where nothing was measured to predict it from. `change` is None where a recipe
    cannot mend it.
    """

    check: str
    layer: str
    value: str
    finds: str
    why: str
    what_to_do: str
    change: Change | None
    own_gain_db: float | None
    output_gain_db: float | None

    def applied_to(self, recipe: Recipe) -> Recipe:
        """The recipe with the proposed change; everything else of that layer's recipe stays."""
        return recipe if self.change is None else self.change.applied_to(recipe)

    def to_dict(self) -> dict[str, Any]:
        """The same as JSON data."""
        return {
            "check": self.check,
            "layer": self.layer,
            "value": self.value,
            "finds": self.finds,
            "why": self.why,
            "what_to_do": self.what_to_do,
            "change": "" if self.change is None else str(self.change),
            "own_gain_db": finite(self.own_gain_db),
            "output_gain_db": finite(self.output_gain_db),
        }

    def __str__(self) -> str:
        gain = "" if self.output_gain_db is None else f" ({self.output_gain_db:+.1f} dB)"
        sentences = (self.finds, self.why, self.what_to_do)
        text = ". ".join(f"{sentence[:1].upper()}{sentence[1:]}" for sentence in sentences)
        return f"{self.layer}: {text}{gain}."


def finite(number: float | None) -> float | None:
    """The number as JSON can hold it: None if it is infinite."""
    return number if number is not None and math.isfinite(number) else None
