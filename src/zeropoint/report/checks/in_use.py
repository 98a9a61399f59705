"""What a program's own recipe asks of each layer: a proposal that asks the same is none.

Both recipes, that in use and the proposed one, are resolved as quantize() resolves them: with
overrides, residuals, and what the engine can run.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from zeropoint.assign import Assignment, assign
from zeropoint.errors import RecipeError
from zeropoint.recipe import Recipe, TensorSpec
from zeropoint.report.analysis.finding import Finding
from zeropoint.report.checks.written_recipe import read_recipe
from zeropoint.simulation import Simulation
from zeropoint.target import REFERENCE, TARGETS


@dataclass(frozen=True)
class InUse:
    """The recipe of a program, and what it decided."""

    simulation: Simulation
    recipe: Recipe
    assignment: Assignment

    @property
    def specs(self) -> Mapping[str, TensorSpec]:
        """What is asked of the grid of each value that has one of its own."""
        return self.assignment.own

    def is_news(self, finding: Finding) -> bool:
        """True if the finding's change would give its layer what it does not have already.

        A change that quantize() refuses gives nothing either. What proposes no change is news.
        """
        if finding.change is None:
            return True
        then = _assigned(self.simulation, finding.applied_to(self.recipe))
        return then is not None and self._asked(then, finding) != self._asked(
            self.assignment, finding
        )

    def _asked(self, assignment: Assignment, finding: Finding) -> tuple[object, ...]:
        """All that a change may be about: what runs in integers, and the layer's own grids."""
        node = self.simulation.graph.producers.get(finding.value)
        weights = [assignment.weights.get(name) for name in (node.inputs if node else ())]
        return (assignment.integer, assignment.own.get(finding.value), weights)


def in_use(simulation: Simulation) -> InUse | None:
    """The recipe in use, and what it decided; None where the program does not tell."""
    recipe = read_recipe(simulation.program.provenance.recipe)
    assignment = None if recipe is None else _assigned(simulation, recipe)
    if recipe is None or assignment is None:
        return None
    return InUse(simulation, recipe, assignment)


def _assigned(simulation: Simulation, recipe: Recipe) -> Assignment | None:
    target = TARGETS.get(simulation.program.provenance.target, REFERENCE)
    try:
        return assign(simulation.graph, recipe, target)
    except RecipeError:
        return None
