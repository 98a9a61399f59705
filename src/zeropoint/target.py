"""What a machine can do. A recipe (the wish) and a target (the ability) meet in `calibrate`."""

from dataclasses import dataclass

from zeropoint.recipe import TensorSpec


@dataclass(frozen=True)
class Target:
    """The abilities of one engine: widths, and whether weights may have a zero point."""

    name: str
    bits: range = range(2, 9)
    asymmetric_weights: bool = False

    def refusal_of_weights(self, spec: TensorSpec) -> str | None:
        """Why the engine cannot run such weights; None if it can."""
        if not spec.symmetric and not self.asymmetric_weights:
            return "asymmetric weights"
        return self._refusal_of_bits(spec, "weights")

    def refusal_of_activations(self, spec: TensorSpec) -> str | None:
        """Why the engine cannot run such activations; None if it can."""
        return self._refusal_of_bits(spec, "activations")

    def _refusal_of_bits(self, spec: TensorSpec, what: str) -> str | None:
        return None if spec.bits in self.bits else f"{spec.bits}-bit {what}"


REFERENCE = Target("reference", asymmetric_weights=True)
ONEDNN = Target("onednn")
TARGETS = {target.name: target for target in (ONEDNN, REFERENCE)}
