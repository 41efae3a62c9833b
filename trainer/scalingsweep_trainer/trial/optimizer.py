"""AdamW (Loshchilov & Hutter 2019, arXiv 1711.05101) with clipping by global norm."""

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from scalingsweep.api.trial import Optimizer


def adamw(parameters: dict[str, nn.Parameter], settings: Optimizer) -> torch.optim.AdamW:
    """AdamW with its state made at once, zero, so that a snapshot has the same form at any step.

    The fused kernel is one pass over each tensor and computes every element alone.
    """
    optimizer = torch.optim.AdamW(
        list(parameters.values()),
        lr=0.0,
        betas=settings.betas,
        eps=settings.eps,
        weight_decay=settings.weight_decay,
        fused=True,
    )
    for parameter in parameters.values():
        optimizer.state[parameter] = {
            "step": torch.zeros((), device=parameter.device),
            "exp_avg": torch.zeros_like(parameter, requires_grad=False),
            "exp_avg_sq": torch.zeros_like(parameter, requires_grad=False),
        }
    return optimizer


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """The learning rate of the next update."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def clip(parameters: list[nn.Parameter], most: float) -> Tensor:
    """Scale gradients down to a global norm of at most `most` (0: leave them).

    Returns:
        The norm before, a scalar on the device.
    """
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    norm = torch.nn.utils.get_total_norm(gradients)
    if isinstance(norm, DTensor):
        norm = norm.full_tensor()
    if most > 0:
        torch.nn.utils.clip_grads_with_norm_(parameters, most, norm)
    return norm
