"""Imports of torch and transformers, which are most of a short trial's start. A rank enters here.

Nearly all of it is what LlamaForCausalLM pulls in, torch.distributed's tensors and checkpoints
included, so that importing those later would save nothing. The collector is left out meanwhile: it
walks the same 400,000 objects again and again, a tenth of the CPU time (11.4 → 10.2 s under load).
"""

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def heavy() -> Iterator[None]:
    """No collection of garbage until the block ends."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
