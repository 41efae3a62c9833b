"""The peer that most people use: Hugging Face's Trainer, with logging, evaluation and saving off.

Run as a script with the paths of a recipe and of its answer; it knows nothing of this project.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import LlamaForCausalLM, Trainer, TrainerCallback, TrainingArguments


class Rows(torch.utils.data.Dataset[dict[str, torch.Tensor]]):
    """Sequences with their labels given, so that a sequence predicts as many tokens as ours."""

    def __init__(self, path: str, count: int) -> None:
        self._rows = np.load(path, mmap_mode="r")
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        tokens = torch.from_numpy(self._rows[index].astype(np.int64))
        return {"input_ids": tokens[:-1], "labels": tokens[:-1], "shift_labels": tokens[1:]}


class Clock(TrainerCallback):
    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.first = 0.0
        self._began = 0.0

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        self._began = time.perf_counter()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        now = time.perf_counter()
        self.seconds.append(now - self._began)
        self._began, self.first = now, self.first or time.time()


def main() -> None:
    recipe = json.loads(Path(sys.argv[1]).read_text())
    torch.set_num_threads(1)
    batch, steps, bf16 = recipe["batch"], recipe["steps"], recipe["precision"] == "bf16"
    model = LlamaForCausalLM.from_pretrained(recipe["weights"], dtype=torch.float32)
    model.config.use_cache = False
    rows, clock = Rows(recipe["rows"], batch * steps), Clock()
    trainer = Trainer(
        model=model,
        args=TrainingArguments(
            output_dir=recipe["scratch"],
            per_device_train_batch_size=batch,
            max_steps=steps,
            learning_rate=recipe["rate"],
            lr_scheduler_type="constant",
            optim="adamw_torch_fused",
            adam_beta1=recipe["betas"][0],
            adam_beta2=recipe["betas"][1],
            adam_epsilon=recipe["eps"],
            weight_decay=0.0,
            max_grad_norm=recipe["clip"],
            bf16=bf16,
            use_cpu=True,
            dataloader_pin_memory=False,
            remove_unused_columns=False,
            train_sampling_strategy="sequential",
            logging_strategy="no",
            save_strategy="no",
            eval_strategy="no",
            report_to=[],
            disable_tqdm=True,
        ),
        train_dataset=rows,
        callbacks=[clock],
    )
    trainer.train()
    tokens = torch.from_numpy(rows._rows[steps * batch : (steps + 1) * batch].astype(np.int64))  # noqa: SLF001
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
        logits = model(tokens[:, :-1].contiguous()).logits
    loss = torch.nn.functional.cross_entropy(
        logits.float().flatten(0, 1), tokens[:, 1:].flatten()
    ).item()
    answer = {"seconds": clock.seconds, "first": clock.first, "loss": loss}
    Path(sys.argv[2]).write_text(json.dumps(answer))


if __name__ == "__main__":
    main()
