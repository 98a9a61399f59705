import sys
import threading
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import zeropoint as zp
from tests.nets import MobileNetLike, Residual, images, seeded
from zeropoint.errors import EngineError
from zeropoint.execute import openvino
from zeropoint.execute.openvino import OpenVino, OpenVinoFile, why_unusable
from zeropoint.execute.reference import Reference

pytestmark = pytest.mark.skipif(why_unusable() is not None, reason=str(why_unusable()))


def assert_close(found: Tensor, expected: Tensor) -> None:
    """Equal but for float32 rounding: in these small networks no integer differs."""
    assert torch.allclose(found, expected, rtol=0, atol=1e-5 * expected.abs().max().item())


@pytest.mark.parametrize("make", [Residual, MobileNetLike])
@pytest.mark.parametrize("batch", [1, 5])
def test_it_computes_what_the_reference_computes(make: type[nn.Module], batch: int) -> None:
    q = zp.quantize(seeded(make()), [images()], engine="reference")
    x = images(batch, seed=1)
    (found,) = OpenVino(q.program).run([x])
    assert_close(found, q(x))


@pytest.mark.parametrize("batch", [1, 2, 3, 8, 16])
def test_linear_layers_without_biases_in_a_row_stay_integer_layers(batch: int) -> None:
    layers = [nn.Linear(12, 64, bias=False), nn.ReLU(), nn.Linear(64, 32, bias=False), nn.ReLU()]
    net = nn.Sequential(nn.Flatten(), *layers, nn.Linear(32, 10, bias=False)).eval()
    q = zp.quantize(net, [images(64, size=2)], engine="reference")
    x = images(batch, size=2, seed=1)
    (found,) = OpenVino(q.program).run([x])
    assert_close(found, q(x))


def test_a_result_is_not_overwritten_by_the_next_call() -> None:
    q = zp.quantize(seeded(Residual()), [images()], engine="openvino")
    first = q(images(seed=1))
    kept = first.clone()
    q(images(seed=2))
    assert torch.equal(first, kept)


def test_threads_share_one_executor() -> None:
    q = zp.quantize(seeded(Residual()), [images()], engine="openvino")
    batches = [images(seed=seed) for seed in range(8)]
    expected = [q(x) for x in batches]
    found: dict[int, Tensor] = {}
    threads = [
        threading.Thread(target=lambda i=i: found.update({i: q(batches[i])})) for i in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(torch.equal(found[i], expected[i]) for i in range(8))


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    program = zp.quantize(seeded(Residual()), [images()], engine="reference").program
    monkeypatch.setattr(openvino, "why_unusable", lambda: openvino.MISSING)
    with pytest.raises(EngineError, match=r"pip install 'zeropoint\[openvino\]'"):
        OpenVino(program)


def test_the_reference_sees_no_difference_on_many_images() -> None:
    q = zp.quantize(seeded(MobileNetLike()), [images()], engine="reference")
    x = images(64, seed=3)
    (found,) = OpenVino(q.program).run([x])
    assert_close(found, Reference(q.program).run([x])[0])


def test_many_sizes_are_served_by_one_network_for_any_size() -> None:
    program = zp.quantize(seeded(Residual()), [images()], engine="reference").program
    executor, reference = OpenVino(program), Reference(program)
    for size in range(6, 6 + 2 * openvino.FIXED_SHAPES):
        x = images(2, size=size, seed=size)
        for _ in range(2):
            assert_close(executor.run([x])[0], reference.run([x])[0])
    assert len(executor._compiled) == openvino.FIXED_SHAPES + 1


def test_layout_and_gradients_of_an_input_do_not_matter() -> None:
    program = zp.quantize(seeded(Residual()), [images()], engine="reference").program
    executor, x = OpenVino(program), images()
    (expected,) = executor.run([x])
    last = x.contiguous(memory_format=torch.channels_last)
    strided = torch.stack([x, x], -1)[..., 0]
    for other in (last, strided, x.clone().requires_grad_()):
        assert torch.equal(executor.run([other])[0], expected)


@pytest.mark.parametrize("fixed", [True, False])
def test_an_image_that_is_too_small_is_an_engine_error(
    fixed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = zp.quantize(nn.Conv2d(3, 4, 5).eval(), [images()], engine="reference").program
    monkeypatch.setattr(openvino, "FIXED_SHAPES", int(fixed))
    with pytest.raises(EngineError, match=r"OpenVINO cannot run this: .*(too small|larger than)"):
        OpenVino(program).run([images(size=4)])


def test_a_file_that_is_no_model_is_an_engine_error(tmp_path: Path) -> None:
    path = tmp_path / "model.xml"
    path.write_text("nothing of the kind")
    with pytest.raises(EngineError, match="OpenVINO cannot load the model: Unable to read"):
        OpenVinoFile(path)


def test_a_machine_without_the_package_cannot_use_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    assert why_unusable() == openvino.MISSING
