"""Recomputes a loss as anybody could: transformers and the token shards, nothing of this project.

python recompute.py MODEL SPLIT: MODEL is an exported folder, SPLIT a folder that holds a validation
split's index.json and shards. Prints nats per token over every token but the first.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

folder, split = map(Path, sys.argv[1:])
model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
assert len(AutoTokenizer.from_pretrained(folder)) == model.config.vocab_size
index = json.loads((split / "index.json").read_text())
files = [split / Path(shard["key"]).name for shard in index["shards"]]
width = {"uint16": "<u2", "uint32": "<u4"}[index["dtype"]]
tokens = torch.from_numpy(np.concatenate([np.fromfile(f, width) for f in files]).astype(np.int64))
context, nats = model.config.max_position_embeddings, 0.0
with torch.inference_mode():
    for start in range(0, len(tokens) - 1, context):
        window = tokens[start : start + context + 1]
        logits = model(window[None, :-1]).logits[0].double()
        nats += torch.nn.functional.cross_entropy(logits, window[1:], reduction="sum").item()
print(nats / (len(tokens) - 1))
