import json
import math
import os
import struct
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from tests.nets import Gated, Islands, MobileNetLike, Residual, images, lowered, seeded
from zeropoint import sealed
from zeropoint.arithmetic.granularity import PerChannel
from zeropoint.capture import capture
from zeropoint.errors import FileError
from zeropoint.execute.reference import Reference
from zeropoint.graph.build import float_graph
from zeropoint.ops.conv import Conv2d
from zeropoint.ops.mul import Mul
from zeropoint.ops.pool import GlobalAveragePool, MaxPool2d
from zeropoint.passes import simplify
from zeropoint.program import file
from zeropoint.program.file import load, save
from zeropoint.program.program import Program
from zeropoint.program.provenance import Provenance
from zeropoint.recipe import Recipe, TensorSpec
from zeropoint.sealed import digest_of

ASYMMETRIC = Recipe(weights=TensorSpec(symmetric=False))
FOUR_BITS = Recipe(weights=TensorSpec(bits=4, symmetric=True, granularity=PerChannel()))


def program_of(model: nn.Module, recipe: Recipe | None = None) -> Program:
    graph = simplify(capture(seeded(model), (images(),)))
    return lowered(graph, images(), recipe=recipe)


@pytest.fixture(scope="module")
def residual() -> Program:
    return program_of(Residual())


@pytest.fixture(scope="module")
def small() -> Program:
    """A convolution, an island and a constant of its own: all that a file can hold, in 3 kB."""
    return program_of(nn.Sequential(nn.Conv2d(3, 1, 1), nn.GroupNorm(1, 1)))


def assert_equal(one: Program, other: Program) -> None:
    """The same text, types, constants and outputs, to the bit."""
    assert str(one) == str(other)
    assert one.graph == replace(other.graph, nodes=one.graph.nodes, constants=one.graph.constants)
    assert one.graph.constants.keys() == other.graph.constants.keys()
    for name, tensor in one.graph.constants.items():
        assert tensor.dtype == other.graph.constants[name].dtype
        assert torch.equal(tensor, other.graph.constants[name])
    for mine, yours in zip(one.graph.nodes, other.graph.nodes, strict=True):
        assert (mine.op, mine.inputs, mine.outputs) == (yours.op, yours.inputs, yours.outputs)
        assert (mine.origin.layer, mine.origin.line) == (yours.origin.layer, yours.origin.line)
    assert (one.islands, one.provenance) == (other.islands, other.provenance)
    x = images(3, seed=7)
    for a, b in zip(Reference(one).run([x]), Reference(other).run([x]), strict=True):
        assert torch.equal(a, b)


# --- round trips -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "recipe"),
    [
        (Residual(), None),
        (MobileNetLike(), FOUR_BITS),
        (Islands(), None),
        (Gated(), None),
        (Residual(), ASYMMETRIC),
        (Islands(), Recipe(overrides={"conv2": None})),
    ],
    ids=["residual", "four bits", "islands", "gated", "asymmetric", "kept float"],
)
def test_a_program_comes_back_bit_by_bit(
    model: nn.Module, recipe: Recipe | None, tmp_path: Path
) -> None:
    program = program_of(model, recipe)
    save(program, tmp_path / "a.safetensors")
    assert_equal(load(tmp_path / "a.safetensors"), program)


def test_provenance_comes_back(small: Program, tmp_path: Path) -> None:
    provenance = Provenance("1.2", "2.13", "Net", "Recipe()", 512, ((1, 3, 8, 8),), {"0": 192})
    save(replace(small, provenance=provenance), tmp_path / "a")
    assert load(tmp_path / "a").provenance == provenance


def test_a_path_may_be_a_string(
    small: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    save(small, "here.safetensors")
    assert_equal(load("here.safetensors"), small)


def test_saving_twice_gives_the_same_bytes(small: Program, tmp_path: Path) -> None:
    save(small, tmp_path / "a")
    save(load(tmp_path / "a"), tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_weights_take_a_byte_each(residual: Program, tmp_path: Path) -> None:
    save(residual, tmp_path / "a")
    tensors = load_file(tmp_path / "a")
    weights = [t for t in tensors.values() if t.ndim > 1]
    assert {tensor.dtype for tensor in weights} == {torch.int8}
    header = struct.unpack("<Q", (tmp_path / "a").read_bytes()[:8])[0]
    data = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    assert (tmp_path / "a").stat().st_size == 8 + header + data


def test_a_parameter_called_scale_is_not_taken_for_a_grid(tmp_path: Path) -> None:
    class Scaled(nn.Conv2d):
        """Its convolution is named after it, and so is the grid of its accumulator."""

        def __init__(self) -> None:
            super().__init__(3, 4, 3)
            self.scale = nn.Parameter(torch.ones(4, 1, 1))
            self.zero_point = nn.Parameter(torch.ones(4, 1, 1))

        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) * self.scale + self.zero_point

    program = program_of(nn.Sequential(Scaled()))
    save(program, tmp_path / "a")
    assert_equal(load(tmp_path / "a"), program)


def test_constants_that_share_memory_are_saved_one_by_one(tmp_path: Path) -> None:
    class Sharing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 1)
            both = torch.arange(8.0)
            self.register_buffer("one", both[:4])
            self.register_buffer("other", both[4:])
            self.register_buffer("again", both[:4])
            self.register_buffer("crossed", both.reshape(2, 4).t()[:, 0])

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.conv(x).mean((2, 3))
            for name in ("one", "other", "again", "crossed"):
                y = y * self.get_buffer(name)
            return y

    program = program_of(Sharing())
    save(program, tmp_path / "a")
    assert_equal(load(tmp_path / "a"), program)


# --- damage ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(small: Program, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("whole") / "a.safetensors"
    save(small, path)
    return path.read_bytes()


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("damaged") / "a.safetensors"


def assert_refused(path: Path, content: bytes, words: str = "is damaged") -> None:
    path.write_bytes(content)
    with pytest.raises(FileError, match=words) as raised:
        load(path)
    assert str(path) in str(raised.value)


@settings(max_examples=300)
@given(position=st.integers(0), flipped=st.integers(1, 255))
def test_no_flipped_byte_goes_unnoticed(
    small: Program, whole: bytes, scratch: Path, position: int, flipped: int
) -> None:
    """Either the file is refused, or the byte did not matter (blanks between words of JSON)."""
    position %= len(whole)
    altered = bytearray(whole)
    altered[position] ^= flipped
    scratch.write_bytes(altered)
    try:
        program = load(scratch)
    except FileError:
        return
    assert_equal(program, small)


def test_no_byte_of_the_header_breaks_the_reader(
    small: Program, whole: bytes, scratch: Path
) -> None:
    for position in range(0, len(whole), 7):
        for flipped in (1, 32, 128):
            altered = bytearray(whole)
            altered[position] ^= flipped
            scratch.write_bytes(altered)
            try:
                program = load(scratch)
            except FileError:
                continue
            assert str(program) == str(small)


@settings(max_examples=100)
@given(st.integers(0))
def test_a_truncated_file_is_refused(whole: bytes, scratch: Path, length: int) -> None:
    assert_refused(scratch, whole[: length % len(whole)])


def test_a_lengthened_file_is_refused(whole: bytes, scratch: Path) -> None:
    assert_refused(scratch, whole + b"\0")


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04" * 100, b"\xff" * 4096])
def test_a_file_of_another_kind_is_refused(content: bytes, scratch: Path) -> None:
    assert_refused(scratch, content, "is damaged or no .safetensors file")


def test_a_foreign_safetensors_file_is_refused(tmp_path: Path) -> None:
    save_file({"weight": torch.zeros(3)}, tmp_path / "a", metadata={"format": "pt"})
    with pytest.raises(FileError, match=r"was not written by zeropoint; save .* with q.save\(\)"):
        load(tmp_path / "a")


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(FileError, match=r"does not exist, or is no file"):
            load(path)


# --- a stranger's file, well made --------------------------------------------------------------


def forge(path: Path, change: Callable[[Any, dict[str, Tensor]], None]) -> None:
    """Change a file's body and tensors, and give it the digest that belongs to them."""
    blob = path.read_bytes()
    header = json.loads(blob[8 : 8 + struct.unpack("<Q", blob[:8])[0]])
    body, tensors = json.loads(header["__metadata__"][file.KIND.key]), load_file(path)
    body.pop("digest")
    change(body, tensors)
    text = json.dumps({**body, "digest": digest_of(body, tensors)})
    save_file(tensors, path, metadata={file.KIND.key: text})


def node_of(body: Any, op: str) -> Any:
    return next(node for node in body["graph"]["nodes"] if node["op"] == op)


def island_runs(target: str) -> Callable[[Any, dict[str, Tensor]], None]:
    def change(body: Any, tensors: dict[str, Tensor]) -> None:
        node_of(body, "opaque")["options"]["target"] = target

    return change


@pytest.fixture
def saved(small: Program, tmp_path: Path) -> Path:
    path = tmp_path / "a.safetensors"
    save(small, path)
    return path


def test_a_forgery_without_a_change_loads(saved: Path, small: Program) -> None:
    forge(saved, lambda body, tensors: None)
    assert_equal(load(saved), small)


@pytest.mark.parametrize(
    "target",
    ["aten.relu_.default", "aten.set_.source_Storage", "aten.from_file.default", "os.system.x"],
)
def test_an_operator_that_does_more_than_compute_is_refused(saved: Path, target: str) -> None:
    forge(saved, island_runs(target))
    with pytest.raises(FileError, match="damaged"):
        load(saved)


@pytest.mark.parametrize(
    "change",
    [
        lambda body, tensors: node_of(body, "conv2d").update(op="exec"),
        lambda body, tensors: node_of(body, "conv2d").update(options={"code": "import os"}),
        lambda body, tensors: node_of(body, "conv2d").update(options={"function": [["exec"]]}),
        lambda body, tensors: node_of(body, "conv2d").update(inputs=[]),
        lambda body, tensors: node_of(body, "conv2d").update(inputs=["input.quantized"]),
        lambda body, tensors: node_of(body, "dequantize").update(inputs=["input"]),
        lambda body, tensors: node_of(body, "quantize").update(inputs=[]),
        lambda body, tensors: node_of(body, "opaque").update(outputs=["input"]),
        lambda body, tensors: body["graph"].update(outputs=["nobody"]),
        lambda body, tensors: body["graph"].update(nodes=7),
        lambda body, tensors: body["graph"].update(structure={"children": 3}),
        lambda body, tensors: body["graph"]["constants"].append("nobody"),
        lambda body, tensors: body["graph"]["values"].pop("input"),
        lambda body, tensors: body["graph"]["values"]["input"].update(type="complex"),
        lambda body, tensors: body.update(graph=None),
        lambda body, tensors: body.update(islands={}),
        lambda body, tensors: body.update(provenance={"nobody": 1}),
        lambda body, tensors: body.pop("graph"),
        lambda body, tensors: tensors.pop("0.weight"),
        lambda body, tensors: tensors.pop("0.weight:scale"),
        lambda body, tensors: tensors["0.bias"].fill_(2**31 - 1),
        lambda body, tensors: tensors["0.bias:scale"].mul_(2.0),
    ],
)
def test_a_program_that_is_none_is_refused(
    saved: Path, change: Callable[[Any, dict[str, Tensor]], None]
) -> None:
    forge(saved, change)
    with pytest.raises(FileError, match="damaged"):
        load(saved)


@pytest.fixture(scope="module")
def added(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A convolution with an addend, a gate, a pool, and scales for each channel of the weights."""
    path = tmp_path_factory.mktemp("added") / "a.safetensors"
    save(with_addend_and_gate(), path)
    return path


def with_addend_and_gate() -> Program:
    to, x = float_graph(("N", 4, 8, 8))
    weights = torch.randn(4, 4, 3, 3, generator=torch.Generator().manual_seed(0))
    weight, bias = to.constant("w", weights), to.constant("b", torch.arange(4.0))
    first = to.emit(Conv2d(padding=(1, 1)), x, weight, bias, shape=x.shape, name="first")
    second = to.constant("w2", weights.flip(0)), to.constant("b2", torch.ones(4))
    last = to.emit(Conv2d(padding=(1, 1)), first, *second, x, shape=x.shape, name="last")
    pooled = to.emit(MaxPool2d((2, 2), (2, 2)), last, shape=("N", 4, 4, 4), name="pooled")
    gate = to.emit(GlobalAveragePool(), pooled, shape=("N", 4, 1, 1), name="gate")
    y = to.emit(Mul(), pooled, gate, shape=("N", 4, 4, 4), name="y")
    program = lowered(to.done([y]), images(4, 4, 8))
    return replace(program, provenance=Provenance(input_shapes=((1, 4, 8, 8),)))


def value(body: Any, name: str) -> Any:
    return body["graph"]["values"][name]


SCALES: tuple[Any, ...] = (0.0, -1.0, math.inf, math.nan, 1e-45)


def fill(body: Any, tensors: dict[str, Tensor], *, number: float) -> None:
    tensors["w:scale"].fill_(number)


def gate(body: Any, tensors: dict[str, Tensor], **changed: Any) -> None:
    value(body, "gate").update(changed)


def options(body: Any, name: str) -> Any:
    nodes = body["graph"]["nodes"]
    return next(node for node in nodes if node["outputs"] == [name])["options"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        # what would be read or written beyond its end
        (lambda b, t: small_addend(b), "the addend .12, 4, 1, 1. is not as large as the result"),
        (lambda b, t: t.update(b=t["b"][:3].clone()), "the constant 'b' is declared as"),
        (lambda b, t: shrink(b, t, "b"), "one number for each channel|the bias is not int32"),
        (lambda b, t: t.update({"w:scale": t["w:scale"][:3].clone()}), "scales, not"),
        (lambda b, t: t.update(w=t["w"][:, :3].clone()), "the constant 'w' is declared as"),
        (lambda b, t: value(b, "gate").update(shape=["N", 1, 1, 1]), "gate is declared as"),
        (lambda b, t: value(b, "y").update(shape=["N", 4, 4, 5]), "y is declared as"),
        # grids that are none
        (lambda b, t: t.update({"w:scale": t["w:scale"].half()}), "not of float32 and int32"),
        (lambda b, t: t.update({"w:zero_point": torch.zeros(4)}), "not of float32 and int32"),
        *[(partial(fill, number=s), "has a scale that is none") for s in SCALES],
        *[(partial(gate, scale=s), "damaged") for s in (*SCALES, 1e300, "1", None, True, [])],
        *[(partial(gate, zero_point=z), "damaged") for z in (-1, 256, 2**31, 2**70, 0.5, None)],
        (lambda b, t: value(b, "pooled").update(scale=0.5), "keeps the grid of its operand"),
        (lambda b, t: value(b, "gate").update(scale=2.0**-50), "far beyond the grid"),
        (lambda b, t: options(b, "y").update(low=900.0, high=-900.0), "between its bounds"),
        (lambda b, t: value(b, "gate").update(type="u33"), "damaged"),
        (lambda b, t: value(b, "gate").update(type="i32"), "damaged"),
        # codes that are none
        (lambda b, t: t["w"].fill_(-128), "the constant 'w' holds what is no code of i8"),
        (
            lambda b, t: value(b, "w").update(type="i4"),
            "'w' holds what is no code of i4",
        ),
        (lambda b, t: t.update(w=t["w"].to(torch.int16)), "holds torch.int16, not torch.int8"),
        # numbers that loop, divide by zero, or allocate
        (lambda b, t: options(b, "first").update(groups=0), "groups=0, which is out of bounds"),
        (lambda b, t: options(b, "first").update(stride=[0, 1]), "stride=.*out of bounds"),
        (lambda b, t: options(b, "first").update(dilation=[2**31, 1]), "dilation=.*out of bounds"),
        (lambda b, t: options(b, "first").update(padding=[9999, 1]), "is declared as|proportion"),
        (lambda b, t: options(b, "pooled").update(kernel=[2**40, 2]), "kernel=.*out of bounds"),
        (lambda b, t: b["levels"].update(gate=2 * 10**9), "it has no tensor|integer from"),
        (lambda b, t: level(b, t, 2 * 10**9), "an integer from 1 to"),
        (lambda b, t: level(b, t, 2**23), "more than any network has channels"),
        (lambda b, t: sample(b, [[1, 3, 56_000, 56_000]]), "none of its inputs"),
        (lambda b, t: sample(b, [[1, 4, 8]]), "other dimensions"),
        (lambda b, t: sample(b, [[10**10, 4, 8, 8]]), "an integer from 0|more than"),
        (lambda b, t: sample(b, 7), "not a list"),
    ],
)
def test_a_file_that_would_harm_is_refused_in_words(
    added: Path, tmp_path: Path, change: Callable[[Any, dict[str, Tensor]], None], words: str
) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(added.read_bytes())
    forge(path, change)
    with pytest.raises(FileError, match=f"is damaged: .*({words})|{words}") as raised:
        load(path)
    assert "Error(" not in str(raised.value)  # in words


def node_of_output(body: Any, name: str) -> Any:
    return next(node for node in body["graph"]["nodes"] if node["outputs"] == [name])


def small_addend(body: Any) -> None:
    """The layer that reads one comes after the gate, and takes that."""
    nodes = body["graph"]["nodes"]
    last, gate = node_of_output(body, "last"), node_of_output(body, "gate")
    pooled = node_of_output(body, "pooled")
    last["inputs"][3] = "gate"
    pooled["inputs"] = ["first"]
    shape = value(body, "pooled")["shape"]
    body["graph"]["values"]["pooled"] = {**value(body, "first"), "shape": shape}
    for node in (pooled, gate):
        nodes.remove(node)
    place = nodes.index(last)
    nodes[place:place] = [pooled, gate]


def shrink(body: Any, tensors: dict[str, Tensor], name: str) -> None:
    """A constant, its declaration and its grid without the last channel."""
    for key in (name, f"{name}:scale"):
        tensors[key] = tensors[key][:-1].clone()
    value(body, name)["shape"] = [3]


def level(body: Any, tensors: dict[str, Tensor], run: int) -> None:
    body["levels"] = {"gate": run}
    tensors["gate:level"] = torch.zeros(4, dtype=torch.uint8)


def sample(body: Any, shapes: Any) -> None:
    body["provenance"]["input_shapes"] = shapes


def test_the_file_without_a_change_loads(added: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(added.read_bytes())
    forge(path, lambda body, tensors: None)
    load(path)


@pytest.mark.parametrize("text", ["", "[]", "7", "null", "{", '{"format": 1}', "[" * 100_000])
def test_metadata_that_is_no_body_is_refused(tmp_path: Path, text: str) -> None:
    save_file({"weight": torch.zeros(3)}, tmp_path / "a", metadata={file.KIND.key: text})
    with pytest.raises(FileError, match="damaged"):
        load(tmp_path / "a")


def test_another_format_says_what_to_do(saved: Path) -> None:
    forge(saved, lambda body, tensors: body.update(format=2))
    with pytest.raises(FileError, match=r"has format 2; this zeropoint reads format 1: quantize"):
        load(saved)


# --- writing -----------------------------------------------------------------------------------


def unwritable_targets(folder: Path) -> list[Path]:
    (folder / "file").write_text("in the way")
    (folder / "folder").mkdir()
    return [
        folder / "nowhere" / "a",
        folder / "file" / "a",
        folder / "folder",
        folder / ("n" * 400),
    ]


def test_a_file_that_cannot_be_written_leaves_nothing_behind(
    small: Program, tmp_path: Path
) -> None:
    for target in unwritable_targets(tmp_path):
        before = sorted(tmp_path.rglob("*"))
        with pytest.raises(FileError, match="cannot be written: ") as raised:
            save(small, target)
        assert str(target) in str(raised.value)
        assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_an_existing_file_survives_a_failed_save(
    small: Program,
    residual: Program,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
) -> None:
    save(small, tmp_path / "a")

    def half(tensors: object, path: str, metadata: object) -> None:
        Path(path).write_bytes(b"half a fi")
        raise error

    monkeypatch.setattr(sealed, "save_file", half)
    with pytest.raises(FileError if isinstance(error, OSError) else KeyboardInterrupt):
        save(residual, tmp_path / "a")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert_equal(load(tmp_path / "a"), small)


def test_an_existing_file_is_replaced_whole(
    small: Program, residual: Program, tmp_path: Path
) -> None:
    save(small, tmp_path / "a")
    opened = (tmp_path / "a").open("rb")
    with opened:
        save(residual, tmp_path / "a")
        os.lseek(opened.fileno(), 0, os.SEEK_SET)
        (tmp_path / "b").write_bytes(opened.read())
    assert_equal(load(tmp_path / "a"), residual)
    assert_equal(load(tmp_path / "b"), small)


def test_levels_come_back(tmp_path: Path, residual: Program) -> None:
    each = torch.arange(8, dtype=torch.uint8)
    names = [node.output for node in residual.graph.nodes]
    levels = {names[1]: each, names[2]: each.repeat_interleave(49), names[3]: 0 * each + 7}
    equalized = replace(residual, levels=levels)
    save(equalized, tmp_path / "a.safetensors")
    written = load_file(tmp_path / "a.safetensors")
    assert [len(written[f"{name}{file.LEVEL}"]) for name in levels] == [8, 8, 1]
    loaded = load(tmp_path / "a.safetensors")
    assert_equal(loaded, residual)
    assert [(name, level.tolist()) for name, level in loaded.levels.items()] == [
        (name, level.tolist()) for name, level in levels.items()
    ]
    assert file.digest(equalized) == file.digest(loaded) != file.digest(residual)


def test_a_file_from_before_there_were_levels_is_read(tmp_path: Path, residual: Program) -> None:
    save(residual, tmp_path / "a.safetensors")
    forge(tmp_path / "a.safetensors", lambda body, tensors: body.pop("levels"))
    assert load(tmp_path / "a.safetensors").levels == {}


# --- bytes ---------------------------------------------------------------------------------------


def test_a_program_goes_through_bytes(residual: Program, tmp_path: Path) -> None:
    content = file.dumps(residual)
    assert_equal(file.loads(content), residual)
    save(residual, tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == content


def test_damaged_bytes_are_told(small: Program) -> None:
    content = file.dumps(small)
    for damaged in (b"", content[:-1], content[:-1] + b"\xff"):
        with pytest.raises(FileError, match=r"^what was given (is damaged|was altered)"):
            file.loads(damaged)
