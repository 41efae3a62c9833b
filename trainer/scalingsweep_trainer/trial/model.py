"""The model: transformers' LlamaForCausalLM from a Shape, and what the loop calls instead of it.

Weights, layers and config are transformers' own, so that an export is a Hugging Face checkpoint by
construction. The forward pass is written out here: no mask and no positions have to be made anew at
every step (6 % of a step at 27k parameters), labels are given rather than shifted, and the loss of
every token comes back in fp32.

Legend: B sequences, T tokens of each, V vocabulary.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import fully_shard
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

from scalingsweep.api.shape import Shape
from scalingsweep.api.trial import TrialSpec
from scalingsweep_trainer.trial.ranks import Ranks

IGNORED = -100
"""The label of a position that counts nothing: padding."""


def config(shape: Shape) -> LlamaConfig:
    """The transformers config of a shape; `export` writes it beside the weights."""
    return LlamaConfig(
        vocab_size=shape.vocab_size,
        hidden_size=shape.hidden_size,
        intermediate_size=shape.intermediate_size,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        max_position_embeddings=shape.context_length,
        tie_word_embeddings=shape.tied_embeddings,
        rope_parameters={"rope_type": "default", "rope_theta": shape.rope_theta},
        rms_norm_eps=shape.norm_eps,
        attention_bias=False,
        mlp_bias=False,
        bos_token_id=None,
        eos_token_id=None,
        use_cache=False,
    )


class LanguageModel(nn.Module):
    """Nats of every token. `llama` is the model as transformers knows it."""

    def __init__(self, shape: Shape, precision: str, device: torch.device) -> None:
        super().__init__()
        settings = config(shape)
        with torch.device("meta"):
            self.llama = LlamaForCausalLM(settings)
        self.llama.set_attn_implementation("sdpa")
        self.autocast = precision == "bf16"
        places = torch.arange(shape.context_length)[None]
        with torch.device("cpu"):
            cosine, sine = LlamaRotaryEmbedding(settings)(torch.zeros(1), places)
        self.rotation = (cosine.to(device), sine.to(device))

    def forward(self, inputs_BT: Tensor, labels_BT: Tensor) -> Tensor:
        """Nats of each label, [B·T] in fp32; 0 where the label is IGNORED."""
        with torch.autocast(
            inputs_BT.device.type,
            dtype=torch.bfloat16,
            enabled=self.autocast,
            # a cached bf16 copy would outlive the gathered weights that it was made of
            cache_enabled=False,
        ):
            length = inputs_BT.shape[1]
            rotation = tuple(part[:, :length] for part in self.rotation)
            inner = self.llama.model
            hidden = inner.embed_tokens(inputs_BT)
            for layer in inner.layers:
                hidden = layer(hidden, attention_mask=None, position_embeddings=rotation)
            logits_BTV = self.llama.lm_head(inner.norm(hidden))
        return F.cross_entropy(
            logits_BTV.float().flatten(0, 1),
            labels_BT.flatten(),
            ignore_index=IGNORED,
            reduction="none",
        )

    def parameters_by_name(self) -> dict[str, nn.Parameter]:
        """Trained tensors by their Hugging Face names; a tied head is not listed twice."""
        return dict(self.llama.named_parameters())


def build(spec: TrialSpec, ranks: Ranks) -> LanguageModel:
    """The model with storage but without values, sharded over the ranks when there are several.

    FSDP2 groups: one per layer, and the root, which holds embedding, head (tied or not) and the
    last norm. Weights are gathered in fp32 and cast inside, so that one rank and many compute the
    same numbers; gradients are summed, not averaged, for the loss is divided by all tokens already.
    """
    model = LanguageModel(spec.shape, spec.precision, ranks.device)
    if ranks.mesh is not None:
        for layer in model.llama.model.layers:
            _shard(layer, ranks.mesh)
        _shard(model, ranks.mesh)
    model.llama.to_empty(device=ranks.device)
    if spec.shape.tied_embeddings:
        assert ranks.mesh is None or _is_tied(model)
        model.llama.lm_head.weight = model.llama.model.embed_tokens.weight
    return model


def _shard(module: nn.Module, mesh: DeviceMesh) -> None:
    sharded = fully_shard(module, mesh=mesh)
    sharded.set_gradient_divide_factor(1.0)
    # a factor of one is otherwise multiplied in by a kind of reduction that gloo does not have
    sharded.set_force_sum_reduction_for_comms(True)


def _is_tied(model: LanguageModel) -> bool:
    return model.llama.lm_head.weight is model.llama.model.embed_tokens.weight
