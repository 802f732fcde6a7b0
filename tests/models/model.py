"""The Llama and Mixtral architectures over packed tokens, for training.

A batch is one flat run of tokens; `bounds` holds the cumulative ends of its sequences. Parameters
carry Hugging Face's names except an expert layer's, whose eight experts are fused into two wide
products: every expert computes every token and the routing weight, zero for most, scales the
expert's activations. check_models.py compares this model with transformers'.
"""

import dataclasses
import json
import math
import pathlib

import torch
from safetensors import torch as safetensors
from torch import nn
from torch.nn import functional as F
from torch.nn.attention import varlen


@dataclasses.dataclass(frozen=True)
class Config:
    """The fields of config.json that shape the model."""

    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    vocab_size: int
    rms_norm_eps: float
    rope_theta: float
    max_position_embeddings: int
    tie_word_embeddings: bool
    rope_scaling: dict | None = None
    num_local_experts: int = 0
    num_experts_per_tok: int = 0
    router_aux_loss_coef: float = 0.0

    @classmethod
    def load(cls, folder: pathlib.Path) -> "Config":
        """Reads config.json of a model folder."""
        raw = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        return cls(**{f.name: raw[f.name] for f in dataclasses.fields(cls) if f.name in raw})


def rotary_frequencies(config: Config) -> torch.Tensor:
    """Inverse frequencies [head_dim / 2], with Llama 3.1's scaling where the config asks for it."""
    exponent = torch.arange(0, config.head_dim, 2, dtype=torch.float32) / config.head_dim
    frequency = 1.0 / config.rope_theta ** exponent
    scaling = config.rope_scaling
    if not scaling:
        return frequency
    low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
    turns = scaling["original_max_position_embeddings"] * frequency / (2 * math.pi)
    blend = ((turns - low) / (high - low)).clamp(0, 1)
    return frequency * (blend + (1 - blend) / scaling["factor"])


def rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Rotary embedding of x [tokens, heads, head_dim] in the half-split convention."""
    first, second = x.float().chunk(2, dim=-1)
    turned = torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)
    return turned.to(x.dtype)


def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, bounds: torch.Tensor,
           longest: int) -> torch.Tensor:
    """Causal attention within each sequence; on a CPU through a dense mask."""
    if q.is_cuda:
        return varlen.varlen_attn(q, k, v, bounds, bounds, longest, longest, window_size=(-1, 0))
    tokens = torch.arange(q.shape[0])
    owner = torch.bucketize(tokens, bounds[1:].long(), right=True)
    mask = (owner[:, None] == owner[None, :]) & (tokens[:, None] >= tokens[None, :])
    q, k, v = (x.transpose(0, 1).unsqueeze(0) for x in (q, k, v))
    out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, enable_gqa=True)
    return out.squeeze(0).transpose(0, 1)


class Attention(nn.Module):
    """Grouped-query attention with rotary positions."""

    def __init__(self, config: Config):
        super().__init__()
        self.head_dim = config.head_dim
        width = config.num_attention_heads * config.head_dim
        kv_width = config.num_key_value_heads * config.head_dim
        self.q_proj = nn.Linear(config.hidden_size, width, bias=False)
        self.k_proj = nn.Linear(config.hidden_size, kv_width, bias=False)
        self.v_proj = nn.Linear(config.hidden_size, kv_width, bias=False)
        self.o_proj = nn.Linear(width, config.hidden_size, bias=False)

    def forward(self, x, cos, sin, bounds, longest):
        q, k, v = (project(x).unflatten(-1, (-1, self.head_dim))
                   for project in (self.q_proj, self.k_proj, self.v_proj))
        out = attend(rotate(q, cos, sin), rotate(k, cos, sin), v, bounds, longest)
        return self.o_proj(out.flatten(1))


class GatedMlp(nn.Module):
    """Llama's feed-forward layer."""

    def __init__(self, config: Config):
        super().__init__()
        self.gate_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.up_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.down_proj = nn.Linear(config.intermediate_size, config.hidden_size, bias=False)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x)), x.new_zeros(2, 1)


class Experts(nn.Module):
    """Mixtral's expert layer; also returns [2, experts]: mean router probability and load."""

    def __init__(self, config: Config):
        super().__init__()
        self.top_k = config.num_experts_per_tok
        fused = config.num_local_experts * config.intermediate_size
        self.gate = nn.Linear(config.hidden_size, config.num_local_experts, bias=False)
        self.w1 = nn.Linear(config.hidden_size, fused, bias=False)
        self.w2 = nn.Linear(fused, config.hidden_size, bias=False)
        self.w3 = nn.Linear(config.hidden_size, fused, bias=False)

    def forward(self, x):
        with torch.autocast(x.device.type, enabled=False):
            chances = F.linear(x.float(), self.gate.weight).softmax(-1)
            best, chosen = chances.topk(self.top_k)
            best = best / best.sum(-1, keepdim=True)
            routing = torch.zeros_like(chances).scatter(-1, chosen, best)
        inner = F.silu(self.w1(x)) * self.w3(x)
        inner = inner.unflatten(-1, (routing.shape[-1], -1)) * routing.to(inner.dtype)[..., None]
        load = (routing > 0).float().mean(0)
        return self.w2(inner.flatten(1)), torch.stack((chances.mean(0), load.detach()))


class Block(nn.Module):
    """One layer: attention and feed-forward, each behind a norm and beside a residual."""

    def __init__(self, config: Config):
        super().__init__()
        self.input_layernorm = nn.RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.self_attn = Attention(config)
        self.post_attention_layernorm = nn.RMSNorm(config.hidden_size, config.rms_norm_eps)
        if config.num_local_experts:
            self.block_sparse_moe = Experts(config)
        else:
            self.mlp = GatedMlp(config)

    def forward(self, x, cos, sin, bounds, longest):
        x = x + self.self_attn(self.input_layernorm(x), cos, sin, bounds, longest)
        feed_forward = self.block_sparse_moe if hasattr(self, "block_sparse_moe") else self.mlp
        out, routing = feed_forward(self.post_attention_layernorm(x))
        return x + out, routing


class Decoder(nn.Module):
    """The stack below the head."""

    def __init__(self, config: Config):
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(Block(config) for _ in range(config.num_hidden_layers))
        self.norm = nn.RMSNorm(config.hidden_size, config.rms_norm_eps)


class Model(nn.Module):
    """A causal language model over packed sequences of at most `longest` tokens."""

    def __init__(self, config: Config, longest: int):
        super().__init__()
        self.config, self.longest = config, longest
        self.model = Decoder(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self._initialise()
        if config.tie_word_embeddings:
            self.lm_head.weight = self.model.embed_tokens.weight
        angles = torch.outer(torch.arange(longest).float(), rotary_frequencies(config))
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)

    def _initialise(self) -> None:
        residual = 0.02 / math.sqrt(2 * self.config.num_hidden_layers)
        for name, weight in self.named_parameters():
            if weight.dim() == 2:
                into_residual = name.endswith(("o_proj.weight", "down_proj.weight", "w2.weight"))
                nn.init.normal_(weight, std=residual if into_residual else 0.02)

    def forward(self, tokens: torch.Tensor, positions: torch.Tensor, bounds: torch.Tensor,
                wanted: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits [wanted, vocab] at the wanted token indices; routing [layers, 2, experts]."""
        x = self.model.embed_tokens(tokens)
        cos, sin = self.cos[positions, None], self.sin[positions, None]
        routing = []
        for layer in self.model.layers:
            x, layer_routing = layer(x, cos, sin, bounds, self.longest)
            routing.append(layer_routing)
        return self.lm_head(self.model.norm(x[wanted])), torch.stack(routing)


def export(model: Model) -> dict[str, torch.Tensor]:
    """The weights in bf16 under the names of the published checkpoints."""
    tensors = {}
    for name, weight in model.named_parameters():
        weight = weight.detach().to("cpu", torch.bfloat16)
        head, _, matrix = name.removesuffix(".weight").rpartition(".")
        if head.endswith("block_sparse_moe") and matrix != "gate":
            pieces = weight.chunk(model.config.num_local_experts, dim=1 if matrix == "w2" else 0)
            for expert, piece in enumerate(pieces):
                tensors[f"{head}.experts.{expert}.{matrix}.weight"] = piece.contiguous()
        else:
            tensors[name] = weight.contiguous()
    return tensors


def save(model: Model, path: pathlib.Path) -> None:
    """Writes the exported weights as one safetensors file."""
    safetensors.save_file(export(model), path, metadata={"format": "pt"})


def load(model: Model, path: pathlib.Path) -> None:
    """Reads a file that `save` wrote into a model of the same shape."""
    tensors = safetensors.load_file(path)
    state = {}
    for name in model.state_dict():
        head, _, matrix = name.removesuffix(".weight").rpartition(".")
        if head.endswith("block_sparse_moe") and matrix != "gate":
            state[name] = torch.cat(
                [tensors[f"{head}.experts.{expert}.{matrix}.weight"]
                 for expert in range(model.config.num_local_experts)],
                dim=1 if matrix == "w2" else 0)
        elif name == "lm_head.weight" and name not in tensors:
            state[name] = tensors["model.embed_tokens.weight"]
        else:
            state[name] = tensors[name]
    model.load_state_dict(state)
