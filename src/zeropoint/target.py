"""What a machine can do. A recipe (the wish) and a target (the ability) meet in `calibrate`."""

from dataclasses import dataclass, replace

import torch

from zeropoint.recipe import TensorSpec


@dataclass(frozen=True)
class Target:
    """The abilities of one engine on one machine.

    `bits`: widths; `asymmetric_weights`: weights may have a zero point; `fuses_additions`: a
    convolution takes a residual addend along into its one rounding (3'); `fuses_functions`: layers
    apply functions to their accumulators (5); `saturating_pairs`: two products are added in 16
    bits, so that weights must leave them room.
    """

    name: str
    bits: range = range(2, 9)
    asymmetric_weights: bool = False
    fuses_additions: bool = True
    fuses_functions: bool = True
    saturating_pairs: bool = False

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
OPENVINO = Target("openvino")
ONNXRUNTIME = Target("onnxruntime", fuses_additions=False, fuses_functions=False)
TARGETS = {target.name: target for target in (ONEDNN, OPENVINO, ONNXRUNTIME, REFERENCE)}


def target_here(engine: str) -> Target:
    """The target of an engine on this machine: without VNNI, fast kernels add pairs in 16 bits."""
    target = TARGETS[engine]
    fast = target is not REFERENCE
    return replace(target, saturating_pairs=True) if fast and not has_vnni() else target


def has_vnni() -> bool:
    """True if the CPU multiplies bytes and adds the products in 32 bits, in one instruction."""
    return bool(torch.cpu._is_vnni_supported())
