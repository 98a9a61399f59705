import pytest
import torch

from zeropoint import target
from zeropoint.execute.engines import engines
from zeropoint.recipe import TensorSpec
from zeropoint.target import ONEDNN, REFERENCE, TARGETS, Target


def test_every_engine_has_a_target() -> None:
    assert {engine.name for engine in engines()} == TARGETS.keys()


@pytest.mark.parametrize("bits", range(2, 9))
def test_every_engine_runs_every_width(bits: int) -> None:
    spec = TensorSpec(bits=bits, symmetric=True)
    for each in TARGETS.values():
        assert each.refusal_of_weights(spec) is None
        assert each.refusal_of_activations(spec) is None


def test_only_the_reference_runs_asymmetric_weights() -> None:
    assert ONEDNN.refusal_of_weights(TensorSpec()) == "asymmetric weights"
    assert REFERENCE.refusal_of_weights(TensorSpec()) is None
    assert ONEDNN.refusal_of_activations(TensorSpec()) is None


def test_engines_that_cannot_add_before_they_round_cannot_bend_either() -> None:
    assert {name: each.fuses_functions for name, each in TARGETS.items()} == {
        name: each.fuses_additions for name, each in TARGETS.items()
    }
    assert not TARGETS["onnxruntime"].fuses_functions


def test_a_width_that_a_machine_lacks_is_named() -> None:
    wide = Target("wide", bits=range(8, 9))
    assert wide.refusal_of_weights(TensorSpec(bits=4, symmetric=True)) == "4-bit weights"
    assert wide.refusal_of_activations(TensorSpec(bits=4)) == "4-bit activations"


# --- what the CPU multiplies bytes with ----------------------------------------------------------


@pytest.mark.parametrize(
    ("machine", "flags", "limit", "pairs"),
    [
        ("x86_64", {"avx512_vnni"}, "", False),
        ("AMD64", {"avx_vnni"}, "", False),  # Windows; a client CPU without AVX512
        ("x86_64", set(), "", True),
        ("aarch64", set(), "", False),
        ("arm64", set(), "", False),
        ("x86_64", {"avx512_vnni"}, "AVX2", True),
        ("x86_64", {"avx512_vnni"}, "avx512_core", True),
        ("x86_64", {"avx512_vnni"}, "AVX2_VNNI", True),  # AVX512-VNNI alone is not AVX-VNNI
        ("x86_64", {"avx_vnni", "avx512_vnni"}, "AVX2_VNNI", False),
        ("x86_64", {"avx512_vnni"}, "AVX512_CORE_VNNI", False),
    ],
)
def test_pairs_saturate_on_x86_without_any_vnni_that_onednn_may_use(
    monkeypatch: pytest.MonkeyPatch, machine: str, flags: set[str], limit: str, pairs: bool
) -> None:
    monkeypatch.setattr("platform.machine", lambda: machine)
    monkeypatch.setattr(target, "_flags", lambda: frozenset(flags))
    assert target._cpu.__wrapped__(limit).pairs_saturate is pairs


def test_an_older_torch_knows_one_vnni_and_linux_the_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    monkeypatch.setattr(torch.cpu, "_is_vnni_supported", lambda: False)
    monkeypatch.setattr(target, "_flags_of_linux", lambda: frozenset({"avx_vnni", "sse2"}))
    assert target._flags() == {"avx_vnni"}


@pytest.mark.parametrize("pairs", [False, True])
def test_only_engines_with_onednn_inside_saturate(
    monkeypatch: pytest.MonkeyPatch, pairs: bool
) -> None:
    vnni = frozenset() if pairs else target.VNNI
    monkeypatch.setattr(target, "cpu", lambda: target.Cpu(is_x86=True, vnni=vnni))
    found = {name for name in TARGETS if target.target_here(name).saturating_pairs}
    assert found == ({"onednn", "openvino"} if pairs else set())
