from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.nets import Gated, Islands, MobileNetLike, Residual, images, lowered, seeded
from zeropoint.capture import capture
from zeropoint.errors import FileError
from zeropoint.execute.openvino import OpenVinoFile, why_unusable
from zeropoint.execute.reference import Reference
from zeropoint.export import export
from zeropoint.export.openvino import to_openvino
from zeropoint.export.openvino.package import core
from zeropoint.passes import simplify
from zeropoint.program.program import Program

pytestmark = pytest.mark.skipif(why_unusable() is not None, reason=str(why_unusable()))


def program_of(model: nn.Module) -> Program:
    return lowered(simplify(capture(seeded(model), (images(),))), images())


def kinds(model: Any) -> list[str]:  # an openvino.Model
    return [node.get_type_name() for node in model.get_ordered_ops()]


def test_a_value_is_rounded_once() -> None:
    found = kinds(to_openvino(program_of(Residual())))
    assert found.count("Convolution") == 6
    assert found.count("FakeQuantize") == 8  # the input, six convolutions and the pool


def test_values_keep_their_names_and_sizes_stay_free() -> None:
    program = program_of(Residual())
    model = to_openvino(program)
    assert model.input(0).get_names() == {"x"}
    assert str(model.input(0).get_partial_shape()) == "[?,3,?,?]"
    named = {name for node in model.get_ops() for y in node.outputs() for name in y.get_names()}
    assert named >= {node.output for node in program.graph.nodes}
    assert set(program.graph.outputs) <= model.output(0).get_names()


@pytest.mark.parametrize("net", [Residual, MobileNetLike, Gated, Islands])
def test_the_file_gives_what_the_reference_gives(net: type[nn.Module], tmp_path: Path) -> None:
    program, path = program_of(net()), tmp_path / "model.xml"
    export(program, path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["model.bin", "model.xml"]
    executor = OpenVinoFile(path)
    for count, size in ((1, 8), (3, 8), (2, 12)):
        x = images(count, size=size, seed=1)
        (found,), (expected,) = executor.run([x]), Reference(program).run([x])
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_weights_take_a_byte_each_in_the_file(tmp_path: Path) -> None:
    program = program_of(Residual())
    export(program, tmp_path / "model.xml")
    floats = sum(4 * t.numel() for t in program.graph.constants.values() if t.ndim > 1)
    assert (tmp_path / "model.bin").stat().st_size < floats


def test_the_file_keeps_the_plugin_from_quantizing_on_its_own_account(tmp_path: Path) -> None:
    export(program_of(Residual()), tmp_path / "model.xml")
    model = core().read_model(tmp_path / "model.xml")
    option = ["runtime_options", "DYNAMIC_QUANTIZATION_GROUP_SIZE"]
    assert model.get_rt_info(option).astype(str) == "0"


def test_old_files_are_replaced(tmp_path: Path) -> None:
    for suffix in ("xml", "bin"):
        (tmp_path / f"model.{suffix}").write_text("the old one")
    export(program_of(Residual()), tmp_path / "model.xml")
    assert core().read_model(tmp_path / "model.xml").input(0).get_names() == {"x"}
    assert len(list(tmp_path.iterdir())) == 2


def test_a_folder_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="cannot be written"):
        export(program_of(Residual()), tmp_path / "none" / "model.xml")
