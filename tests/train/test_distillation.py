import pytest
import torch
from torch.autograd import backward, gradcheck

from zeropoint.train.distillation import distillation_loss

GENERATOR = torch.Generator().manual_seed(0)
STUDENT, TEACHER = torch.randn(2, 5, 7, generator=GENERATOR, dtype=torch.float64)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_it_is_the_divergence_of_the_softened_answers(temperature: float) -> None:
    p = torch.softmax(TEACHER / temperature, 1)
    q = torch.softmax(STUDENT / temperature, 1)
    expected = temperature**2 * (p * (p / q).log()).sum(1).mean()
    found = distillation_loss(STUDENT, TEACHER, temperature=temperature)
    torch.testing.assert_close(found, expected)


def test_it_is_zero_for_equal_answers_and_positive_for_others() -> None:
    assert distillation_loss(TEACHER, TEACHER).abs() < 1e-12
    assert distillation_loss(STUDENT, TEACHER) > 0


def test_gradients_go_to_the_student_only() -> None:
    student, teacher = STUDENT.clone().requires_grad_(), TEACHER.clone().requires_grad_()
    backward(distillation_loss(student, teacher))
    assert student.grad is not None
    assert teacher.grad is None
    assert gradcheck(lambda x: distillation_loss(x, TEACHER, temperature=3.0), student)


def test_at_high_temperatures_the_gradient_keeps_its_size() -> None:
    """It tends to that of the squared distance of the centred logits, over the classes."""
    student = STUDENT.clone().requires_grad_()
    backward(distillation_loss(student, TEACHER, temperature=1000.0))
    centred = (STUDENT - STUDENT.mean(1, keepdim=True)) - (TEACHER - TEACHER.mean(1, keepdim=True))
    assert student.grad is not None
    torch.testing.assert_close(student.grad, centred / 7 / 5, rtol=0.01, atol=1e-4)
