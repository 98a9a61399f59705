"""Learning from the float model: Hinton et al. 2015, section 2.

    loss = T^2 KL(softmax(teacher / T) || softmax(student / T))

T^2 keeps the size of the gradients as T changes.
"""

import torch.nn.functional as F
from torch import Tensor


def distillation_loss(student: Tensor, teacher: Tensor, *, temperature: float = 1.0) -> Tensor:
    """The mean over the batch, for logits (N, C); gradients go to the student only."""
    wanted = F.log_softmax(teacher.detach() / temperature, dim=1)
    found = F.log_softmax(student / temperature, dim=1)
    divergence = F.kl_div(found, wanted, reduction="batchmean", log_target=True)
    return divergence * temperature**2
