import pytest
import torch

from tests.train.starts import activation, behind_a_relu, weight
from zeropoint.arithmetic.integer import IntegerType
from zeropoint.arithmetic.qparams import QParams, simulate
from zeropoint.train.current_range import CurrentRange
from zeropoint.train.learned_step import LearnedStep
from zeropoint.train.method import FakeQuantizer, Method, Start, fixed
from zeropoint.train.moving_range import MovingRange


def test_the_zero_point_of_symmetric_grids_and_of_one_sided_data_never_moves() -> None:
    assert activation(zero_point=3).fixed_zero_point is None
    assert activation(zero_point=128, symmetric=True).fixed_zero_point == 128
    assert behind_a_relu().fixed_zero_point == 0
    assert activation(zero_point=255, one_sided=True).fixed_zero_point == 255


def test_a_zero_point_that_only_rounds_to_the_end_is_not_fixed() -> None:
    """Hardswish reaches -0.375: at few bits its zero point is 0 or 1 as the images have it."""
    assert activation(zero_point=0).fixed_zero_point is None


def test_a_weight_with_different_zero_points_has_no_fixed_one() -> None:
    zeros = torch.tensor([1, 2, 1], dtype=torch.int32)
    codes = IntegerType(8, signed=True)
    assert fixed(zeros, codes, symmetric=False, one_sided=True) is None
    assert fixed(0 * zeros, codes, symmetric=True, one_sided=False) == 0


@pytest.mark.parametrize("method", [LearnedStep(), MovingRange(0.9)])
def test_a_fake_quantizer_begins_on_the_grid_of_the_plan(method: Method) -> None:
    for start in (activation(), behind_a_relu(), activation(zero_point=128, symmetric=True)):
        quantizer = method.quantizer(start)
        assert quantizer.grid(torch.empty(0)) == start.params
        x = 20 * torch.randn(100, generator=torch.Generator().manual_seed(0))
        quantizer.eval()
        assert torch.equal(quantizer(x), simulate(x, start.params))


def test_bits_sign_and_symmetry_are_part_of_the_state() -> None:
    data = torch.randn(4, 3)
    assert LearnedStep().quantizer(activation()).widths.tolist() == [8, 0, 0]
    assert CurrentRange().quantizer(weight(data, bits=3)).widths.tolist() == [3, 1, 1]
    state = CurrentRange().quantizer(weight(data, symmetric=False)).state_dict()
    assert state["widths"].tolist() == [8, 1, 0]


def test_a_grid_may_go_on_with_other_bits() -> None:
    quantizer = LearnedStep().quantizer(behind_a_relu(0.1, bits=8))
    quantizer.begin(behind_a_relu(0.5, bits=5))
    assert quantizer.widths.tolist() == [5, 0, 0]
    assert quantizer(torch.tensor([100.0])).item() == 0.5 * 31


def test_a_relu_is_left_to_a_grid_that_begins_at_zero() -> None:
    covering = LearnedStep().quantizer(behind_a_relu())
    assert covering.covers_relu
    x = torch.tensor([-1.0, -0.1, 0.1, 1.0])
    assert torch.equal(covering(x, after_relu=True), covering(x.relu()))
    assert not LearnedStep().quantizer(activation(zero_point=0)).covers_relu  # it may move
    assert not LearnedStep().quantizer(activation(zero_point=128, symmetric=True)).covers_relu


@pytest.mark.parametrize("method", [LearnedStep(), CurrentRange()])
@pytest.mark.parametrize("bits", [2, 8])
@pytest.mark.parametrize("axis", [0, None])
@pytest.mark.parametrize("middle", [0.0, 0.4, -3.0])
@pytest.mark.parametrize("symmetric", [True, False])
def test_in_training_a_weight_has_the_codes_that_it_has_in_the_program(
    method: Method, bits: int, axis: int | None, middle: float, symmetric: bool
) -> None:
    """Around zero a signed grid leaves its lowest code out, and takes it back elsewhere."""
    data = torch.randn(6, 5, generator=torch.Generator().manual_seed(0))
    start = weight(data, bits=bits, symmetric=symmetric, axis=axis)
    quantizer = method.quantizer(start)
    later = 1.5 * data + middle
    assert torch.equal(quantizer(later), simulate(later, quantizer.grid(later)))


def test_zero_points_that_come_to_zero_leave_the_lowest_code_out() -> None:
    codes = IntegerType(2, signed=True)
    params = QParams(torch.tensor(1.0), torch.tensor(-1, dtype=torch.int32), codes)
    quantizer = LearnedStep(2).quantizer(Start(params, False, torch.tensor(1.0), is_weight=True))
    x = torch.tensor([-9.0, 9.0])
    assert quantizer(x).tolist() == [-1.0, 2.0]
    assert isinstance(quantizer.shift, torch.nn.Parameter)
    quantizer.shift.data.fill_(1.0)
    assert quantizer(x).tolist() == simulate(x, quantizer.grid(x)).tolist() == [-1.0, 1.0]


def test_a_fake_quantizer_prints_its_codes() -> None:
    assert repr(LearnedStep().quantizer(activation(bits=4))) == "LearnedGrid(u4)"


def test_methods_print_as_they_are_written() -> None:
    assert repr(LearnedStep()) == "LearnedStep(calibrated_bits=5)"
    assert repr(MovingRange()) == "MovingRange(momentum=0.99)"
    assert repr(CurrentRange()) == "CurrentRange()"


def test_every_method_says_what_it_is_for() -> None:
    kinds = {type(m).__name__: (m.for_weights, m.for_activations) for m in METHODS}
    assert kinds == {
        "LearnedStep": (True, True),
        "MovingRange": (False, True),
        "CurrentRange": (True, False),
    }


METHODS = (LearnedStep(), MovingRange(), CurrentRange())


def test_all_fake_quantizers_are_of_one_interface() -> None:
    assert isinstance(MovingRange().quantizer(activation()), FakeQuantizer)
    assert isinstance(CurrentRange().quantizer(weight(torch.randn(2, 2))), FakeQuantizer)
