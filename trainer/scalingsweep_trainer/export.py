"""A trial's checkpoint as a Hugging Face folder, for `AutoModelForCausalLM.from_pretrained`.

`scalingsweep export` asks for it through the worker; nothing of ours is needed to use the result.
"""

from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor
from transformers import GenerationConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from scalingsweep.api.trial import TrialSpec
from scalingsweep.errors import DataError
from scalingsweep.store import Missing, Store
from scalingsweep_trainer.prepare import tokenizer
from scalingsweep_trainer.trial import checkpoint, layout, model, process, ranks, source


def run(store: Store, trial: str, tokens: int, target: Path) -> None:
    """Write the decayed model of one budget.

    Args:
        store: the study's storage.
        trial: the trial's id.
        tokens: its D.
        target: folder for model.safetensors, config.json, generation_config.json and the
            tokenizer's files; made where it is missing.

    Raises:
        DataError: there is no such checkpoint, or no tokenizer.
    """
    process.settle(threads=1)
    spec = source.read_spec(store, trial)
    place = source.place(spec, tokens, "decayed", checkpoint.found(store, trial))
    with torch.device("meta"):
        llama = LlamaForCausalLM(model.config(spec.shape))
    weights = {f"model.{name}": _room(value) for name, value in llama.named_parameters()}
    checkpoint.load(store, trial, place, weights, ranks.alone("cpu"))
    words = _tokenizer(store, spec)
    words.save_pretrained(target)
    _write(spec, weights, words.eos_token_id, target)


def _room(value: Tensor) -> Tensor:
    return torch.empty(value.shape, dtype=torch.float32)


def _write(spec: TrialSpec, weights: dict[str, Tensor], end: int, target: Path) -> None:
    llama = LlamaForCausalLM(model.config(spec.shape))
    with torch.no_grad():
        for name, parameter in llama.named_parameters():
            parameter.copy_(weights[f"model.{name}"])
    llama.config.use_cache = True  # training went without, generation wants it
    llama.config.bos_token_id = llama.config.eos_token_id = end
    llama.generation_config = GenerationConfig(  # type: ignore[no-untyped-call] # as released
        bos_token_id=end, eos_token_id=end, pad_token_id=end
    )
    llama.save_pretrained(target)


def _tokenizer(store: Store, spec: TrialSpec) -> PreTrainedTokenizerFast:
    key = layout.tokenizer(spec.tokenizer)
    try:
        data = store.get(key)
    except Missing:
        raise DataError(store.address(key), "is not there: run prepare again") from None
    known = tokenizer.load(data, store.address(key))
    # every document ends in this token, so it stands before the next one as well
    end = known.encoder.id_to_token(known.end_of_text)
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call] # as released
        # a fresh one: ours encodes special tokens as text
        tokenizer_object=Tokenizer.from_str(data.decode()),
        bos_token=end,
        eos_token=end,
        model_max_length=spec.shape.context_length,
    )
