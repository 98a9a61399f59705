import pytest
import torch

from tests.conformance.draft import Case, Draft
from zeropoint.arithmetic.integer import UINT8
from zeropoint.arithmetic.qparams import per_tensor
from zeropoint.errors import EngineError
from zeropoint.execute.onednn import OneDnn, why_unusable
from zeropoint.execute.onednn.direct import gated
from zeropoint.execute.onednn.gate import Gate
from zeropoint.execute.onednn.library import find_library
from zeropoint.execute.onednn.memory import Memory
from zeropoint.execute.reference import Reference
from zeropoint.ops.mul import Mul

pytestmark = pytest.mark.skipif(why_unusable() is not None, reason=str(why_unusable()))


def product(*shapes: tuple[int, ...], op: Mul | None = None) -> Case:
    draft = Draft(seed=0)
    a, b = (draft.activation(shape, per_tensor(0.0131, 7, UINT8)) for shape in shapes)
    y = draft.emit(op or Mul(), a, b, params=per_tensor(0.0371, 60, UINT8))
    return draft.case(y, verified=False)  # (1, 1) is of one batch only


def node_of(case: Case) -> tuple[str, str] | None:
    (node,) = (node for node in case.program.graph.nodes if isinstance(node.op, Mul))
    return gated(case.program, node)


def test_a_gate_is_one_number_for_each_channel_of_an_image() -> None:
    image, gate = (2, 3, 4, 5), (2, 3, 1, 1)
    assert node_of(product(image, gate)) == ("quantize", "quantize:2")
    assert node_of(product(gate, image)) == ("quantize:2", "quantize")
    for other in (image, (2, 1, 4, 5), (2, 3, 4, 1), (1, 1)):
        assert node_of(product(image, other)) is None


@pytest.mark.parametrize("direct", [False, True])
@pytest.mark.parametrize("op", [Mul(), Mul(0.0), Mul(-0.5, 0.7)])
def test_a_gated_image_is_the_reference_s(op: Mul, direct: bool) -> None:
    for shapes in (((5, 16, 6, 7), (5, 16, 1, 1)), ((1, 3, 1, 1), (1, 3, 9, 9))):
        case = product(*shapes, op=op)
        executor = OneDnn(case.program, direct=direct)
        steps = (
            executor.run(case.inputs)[0] - Reference(case.program).run(case.inputs)[0]
        ) / 0.0371
        assert torch.round(steps).abs().sum() <= 1


def test_no_images_give_no_results() -> None:
    case = product((2, 3, 4, 5), (2, 3, 1, 1))
    (y,) = OneDnn(case.program).run([x[:0] for x in case.inputs])
    assert y.shape == (0, 3, 4, 5)


def test_a_product_has_a_factor_for_each_channel() -> None:
    library = find_library()
    if library is None:
        pytest.skip("this torch does not show oneDNN's functions")
    gate = Gate(library, Memory(), channels=3, zero_points=(7, 60), bounds=())
    x = torch.full((2, 3, 4, 4), 9, dtype=torch.uint8).contiguous(memory_format=torch.channels_last)
    first = gate.times(x, torch.tensor([[1.0, 2.0, 3.0], [-1.0, -2.0, 300.0]]))
    assert first[:, :, 0, 0].tolist() == [[62, 64, 66], [58, 56, 255]]
    with pytest.raises(EngineError, match="times"):
        gate.times(x, torch.ones(1, 3))
