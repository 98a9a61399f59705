"""What a machine can do. A recipe (the wish) and a target (the ability) meet in `calibrate`.

Byte kernels of x86 multiply unsigned by signed bytes. Three kinds of CPU do that:

    AVX512-VNNI, AVX-VNNI (and AMX, whose CPUs have both)   four products added in 32 bits
    AVX2 and older, AVX512 without VNNI                     vpmaddubsw: two products added in 16
                                                            bits, where they saturate
    Arm and all others                                      no such instruction, no saturation

oneDNN, OpenVINO (which contains a oneDNN) and ONNX Runtime look for both VNNIs and use what they
find; for unsigned by unsigned bytes ONNX Runtime has kernels that add in 32 bits on every CPU.
"""

import os
import platform
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

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


X86 = frozenset({"x86_64", "amd64", "i386", "i686", "x86"})
VNNI = frozenset({"avx512_vnni", "avx_vnni"})

ALLOWED = {
    "SSE41": frozenset[str](),
    "AVX": frozenset[str](),
    "AVX2": frozenset[str](),
    "AVX512_CORE": frozenset[str](),
    "AVX2_VNNI": frozenset({"avx_vnni"}),
    "AVX2_VNNI_2": frozenset({"avx_vnni"}),
}
"""What the environment variable ONEDNN_MAX_CPU_ISA leaves of VNNI, by its value; others, all.

oneDNN obeys it inside torch and inside OpenVINO, so a kernel may not be what the CPU could do.
"""

PAIRING = frozenset({ONEDNN.name, OPENVINO.name})
"""Engines whose kernels add two products in 16 bits on a CPU that has nothing better.

The onnxruntime engine makes its weights unsigned there; an exported .onnx has them signed.
"""


@dataclass(frozen=True)
class Cpu:
    """The kind of a CPU, and those of the instructions in `VNNI` that kernels may use."""

    is_x86: bool
    vnni: frozenset[str] = frozenset()

    @property
    def pairs_saturate(self) -> bool:
        """True if products of signed and unsigned bytes are added in 16 bits, two at a time."""
        return self.is_x86 and not self.vnni


def target_here(engine: str) -> Target:
    """The target of an engine on this machine."""
    return replace(TARGETS[engine], saturating_pairs=saturates(engine))


def saturates(engine: str) -> bool:
    """True if the engine adds two products in 16 bits on this CPU."""
    return engine in PAIRING and cpu().pairs_saturate


def cpu() -> Cpu:
    """The CPU of this machine: the one place that is asked, and that tests replace."""
    return _cpu(os.environ.get("ONEDNN_MAX_CPU_ISA", os.environ.get("DNNL_MAX_CPU_ISA", "")))


@cache
def _cpu(limit: str) -> Cpu:
    if platform.machine().lower() not in X86:
        return Cpu(is_x86=False)
    return Cpu(is_x86=True, vnni=_flags() & ALLOWED.get(limit.upper(), VNNI))


def _flags() -> frozenset[str]:
    """Those of `VNNI` that the CPU has: by torch, or by Linux where torch tells of one only."""
    if hasattr(torch.cpu, "get_capabilities"):
        known = torch.cpu.get_capabilities()
        return frozenset(name for name in VNNI if known.get(name))
    first = {"avx512_vnni"} if torch.cpu._is_vnni_supported() else set()
    return frozenset(first) | (_flags_of_linux() & {"avx_vnni"})


def _flags_of_linux() -> frozenset[str]:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return frozenset()
    line = next((line for line in text.splitlines() if line.startswith("flags")), "")
    return frozenset(line.partition(":")[2].split())
