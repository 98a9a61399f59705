"""One training loop for every study: SGD, a learning rate that rises and falls, bfloat16."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn

from studies.cifar10 import Augmented, Images

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
"""From images, outputs and labels to the number that is minimized."""


@dataclass(frozen=True)
class Schedule:
    """Epochs of SGD with Nesterov's momentum.

    The learning rate rises to `lr` in a straight line over the share `warm_up` of all steps and
    falls to zero along a cosine. The first `small` epochs are cropped to 24x24.
    """

    epochs: float
    lr: float
    batch_size: int = 128
    weight_decay: float = 5e-4
    warm_up: float = 0.0
    small: int = 0
    momentum: float = 0.9


Model = TypeVar("Model", bound=nn.Module)

SMALL = 24


def cross_entropy(x: Tensor, outputs: Tensor, labels: Tensor) -> Tensor:
    return nn.functional.cross_entropy(outputs, labels)


def fit(
    model: nn.Module,
    source: Images,
    schedule: Schedule,
    *,
    loss: Loss = cross_entropy,
    groups: Iterable[dict[str, object]] | None = None,
    after_step: Callable[[int], None] = lambda step: None,
    bfloat16: bool = True,
    name: str = "",
) -> None:
    """The model, trained in place; `groups` are the optimizer's, all parameters by default."""
    chosen = list(groups) if groups is not None else [{"params": list(model.parameters())}]
    optimizer = torch.optim.SGD(
        chosen,
        lr=schedule.lr,
        momentum=schedule.momentum,
        nesterov=True,
        weight_decay=schedule.weight_decay,
    )
    steps = round(schedule.epochs * (len(source) // schedule.batch_size))
    rate = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: share(step, steps, schedule.warm_up)
    )
    model.train()
    step, epoch = 0, 0
    while step < steps:
        size = SMALL if epoch < schedule.small else source.pixels.shape[-1]
        begin, total, count = time.monotonic(), 0.0, 0
        for x, y in Augmented(source, schedule.batch_size, size=size):
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
                outputs = model(x)
            value = loss(x, outputs.float(), y)
            value.backward()  # type: ignore[no-untyped-call]  # torch leaves it unannotated
            optimizer.step()
            rate.step()
            after_step(step)
            step, count, total = step + 1, count + 1, total + value.item()
            if step == steps:
                break
        epoch += 1
        seconds = time.monotonic() - begin
        print(f"{name} epoch {epoch}: loss {total / count:.4f}, {seconds:.0f} s", flush=True)


def in_channels_last(model: Model) -> Model:
    """The model itself, its convolutions' weights in channels_last."""
    # torch's types name no overload for a memory format alone.
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model


def share(step: int, steps: int, warm_up: float) -> float:
    """The share of the learning rate at a step."""
    rising = warm_up * steps
    if step < rising:
        return (step + 1) / (rising + 1)
    fallen = (step - rising) / max(1.0, steps - rising)
    return float(0.5 * (1 + torch.cos(torch.tensor(torch.pi * fallen))))
