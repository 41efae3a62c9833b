"""The peer that does nothing but train: a loop as one writes it for a first experiment.

Run as a script with the paths of a recipe and of its answer; it knows nothing of this project.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from transformers import LlamaForCausalLM


def main() -> None:
    recipe = json.loads(Path(sys.argv[1]).read_text())
    torch.set_num_threads(1)
    rows = np.load(recipe["rows"], mmap_mode="r")
    batch, steps, bf16 = recipe["batch"], recipe["steps"], recipe["precision"] == "bf16"
    model = LlamaForCausalLM.from_pretrained(recipe["weights"], dtype=torch.float32)
    model.config.use_cache = False
    model.train()
    optimizer = torch.optim.AdamW(
        model.parameters(),
        lr=recipe["rate"],
        betas=tuple(recipe["betas"]),
        eps=recipe["eps"],
        weight_decay=0.0,
        fused=True,
    )

    def loss_of(step: int) -> torch.Tensor:
        tokens = torch.from_numpy(rows[step * batch : (step + 1) * batch].astype(np.int64))
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
            logits = model(tokens[:, :-1].contiguous()).logits
        return torch.nn.functional.cross_entropy(
            logits.float().flatten(0, 1), tokens[:, 1:].flatten()
        )

    seconds, began, first = [], time.perf_counter(), 0.0
    for step in range(steps):
        optimizer.zero_grad(set_to_none=True)
        loss_of(step).backward()  # type: ignore[no-untyped-call]  # torch's own
        torch.nn.utils.clip_grad_norm_(model.parameters(), recipe["clip"])
        optimizer.step()
        now = time.perf_counter()
        seconds.append(now - began)
        began, first = now, first or time.time()
    with torch.no_grad():
        loss = loss_of(steps).item()
    Path(sys.argv[2]).write_text(json.dumps({"seconds": seconds, "first": first, "loss": loss}))


if __name__ == "__main__":
    main()
