from torch import nn

import zeropoint as zp
from tests.nets import Residual, images, seeded
from zeropoint.report.other_sizes import other_sizes, shapes_of


def sizes_of(model: nn.Module) -> list[str]:
    program = zp.quantize(seeded(model), [images()], engine="reference").program
    return [shapes_of(inputs) for inputs in other_sizes(program, (images(4, size=8),))]


def test_free_batches_and_images_are_tried_in_other_sizes() -> None:
    batches = [f"({count}, 3, 8, 8)" for count in (1, 2, 3, 7)]
    assert sizes_of(Residual()) == [*batches, *(f"(1, 3, {n}, {n})" for n in (16, 4, 9))]


def test_a_size_that_a_network_fixes_is_left_alone() -> None:
    fixed = nn.Sequential(nn.Conv2d(3, 2, 3), nn.Flatten(), nn.Linear(72, 2))
    assert sizes_of(fixed) == [f"({count}, 3, 8, 8)" for count in (1, 2, 3, 7)]
