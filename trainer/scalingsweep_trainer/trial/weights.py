"""Initial weights: each tensor from a generator of its own, keyed by seed and name.

So they are the same for any number of ranks and any order of modules. Matrices are N(0, 0.02²),
those that write into the residual stream smaller by √(2 L), norms are 1: the initialisation of
GPT-2 (Radford et al. 2019, section 2.3, and its released code). numpy's Philox is used, for its
numbers do not depend on the machine's vector instructions as torch's do.
"""

import hashlib
import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor

from scalingsweep.api.shape import Shape

STD = 0.02
"""Standard deviation of a matrix's entries."""


def draw(model_parameters: dict[str, nn.Parameter], shape: Shape, seed: int) -> None:
    """Fill every parameter in place."""
    for name, parameter in model_parameters.items():
        put(parameter, initial(name, tuple(parameter.shape), shape, seed))


def initial(name: str, size: tuple[int, ...], shape: Shape, seed: int) -> Tensor:
    """The whole initial value of one parameter, fp32 on the CPU.

    Args:
        name: its Hugging Face name.
        size: its full size.
        shape: the model it belongs to.
        seed: the trial's seed.
    """
    if len(size) == 1:
        return torch.ones(size)
    key = hashlib.sha256(f"weights\n{seed}\n{name}".encode()).digest()[:16]
    generator = np.random.Generator(np.random.Philox(key=int.from_bytes(key, "little")))
    values = generator.standard_normal(size, dtype=np.float32)
    into_stream = name.endswith(("o_proj.weight", "down_proj.weight"))
    std = STD / math.sqrt(2 * shape.layers) if into_stream else STD
    return torch.from_numpy(values * np.float32(std))


def put(parameter: nn.Parameter, full: Tensor) -> None:
    """Set a parameter, sharded or not, to a whole value that every rank has."""
    with torch.no_grad():
        if isinstance(parameter, DTensor):
            # every rank holds all of it: no rank is asked for its part
            shard = distribute_tensor(
                full.to(parameter.device),
                parameter.device_mesh,
                parameter.placements,
                src_data_rank=None,
            )
            parameter.to_local().copy_(shard.to_local())
        else:
            parameter.copy_(full)


def expected_loss(shape: Shape, repeats: float) -> tuple[float, float]:
    """The bounds of a batch's mean loss under initial weights, in nats.

    The last hidden state has norm √d after RMSNorm, and an embedding row has entries of std 0.02: a
    logit is N(0, σ²) with σ = 0.02 √d, so the loss is log V + σ²/2 in the mean. With tied
    embeddings the logit of the input token itself may reach 0.02 d (its row against itself); it
    raises the log-sum-exp by at most log(1 + exp(0.02 d) / V) and lowers the loss by 0.02 d where
    the label repeats the input. The rows of frequent tokens are drawn once: 4 σ bound the scatter.

    Args:
        shape: the model.
        repeats: the fraction of labels that equal their input token.
    """
    sigma = STD * math.sqrt(shape.hidden_size)
    own = STD * shape.hidden_size if shape.tied_embeddings else 0.0
    level = math.log(shape.vocab_size)
    # log(1 + exp(own) / V) without overflow
    raised = float(np.logaddexp(0.0, own - level))
    return level - repeats * own - 4 * sigma, level + sigma**2 / 2 + raised + 4 * sigma
