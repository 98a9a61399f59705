"""The recipe that a program was made with, read back from the text in its provenance.

Nothing of the text is executed: calls of the known classes with plain values are looked up. A
class of layers becomes one that only bears its name, and a calibrator of somebody else's one that
only prints as it did: for comparing with, not for computing.
"""

import ast
import re
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from zeropoint.arithmetic.granularity import PerChannel, PerTensor
from zeropoint.arithmetic.integer import IntegerType
from zeropoint.errors import RecipeError
from zeropoint.observe.best import CALIBRATORS, Best
from zeropoint.observe.calibrator import Calibrator
from zeropoint.observe.observation import Observation
from zeropoint.recipe import Recipe, TensorSpec

CLASS = re.compile(r"<class '([^']*)'>")
"""How a class of layers prints as the key of an override."""

KNOWN: dict[str, Any] = {  # makers of whatever
    kind.__name__: kind
    for kind in (Recipe, TensorSpec, PerTensor, PerChannel, Best, *map(type, CALIBRATORS))
}


@dataclass(frozen=True, repr=False)
class Foreign(Calibrator):
    """A calibrator that is known by its text alone."""

    text: str

    def from_observation(
        self, observation: Observation, type: IntegerType, symmetric: bool
    ) -> tuple[float, float]:
        """No range: nobody asks."""
        raise NotImplementedError

    def from_rows(self, rows: Tensor, type: IntegerType, symmetric: bool) -> tuple[Tensor, Tensor]:
        """No ranges: nobody asks."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return self.text


def read_recipe(text: str) -> Recipe | None:
    """The recipe that prints like this; None if none that is understood does."""
    try:
        found = _meaning(ast.parse(CLASS.sub(r"_class('\1')", text), mode="eval").body)
    except (
        SyntaxError,
        ValueError,
        TypeError,
        IndexError,
        RecursionError,
        MemoryError,
        RecipeError,
    ):
        return None
    return found if isinstance(found, Recipe) else None


def _meaning(tree: ast.expr) -> Any:
    if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name):
        return _made(tree, tree.func.id)
    if isinstance(tree, ast.Dict):
        keys = [_meaning(key) for key in tree.keys if key is not None]
        return dict(zip(keys, map(_meaning, tree.values), strict=True))
    return ast.literal_eval(tree)


def _made(call: ast.Call, name: str) -> Any:
    if name == "_class":
        return _layers_named(_meaning(call.args[0]))
    if name not in KNOWN:
        return Foreign(ast.unparse(call))
    fields = {str(field.arg): _meaning(field.value) for field in call.keywords}
    return KNOWN[name](*map(_meaning, call.args), **fields)


def _layers_named(name: str) -> type[nn.Module]:
    """A class that a recipe takes for the one of that name."""
    module, _, qualified = name.partition(".")
    names = {"__module__": module, "__qualname__": qualified}
    return type(qualified, (nn.Module,), names)
