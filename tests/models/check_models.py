#!/usr/bin/env python3
"""Checks the shipped files: safetensors layout read by hand, sizes, and two implementations.

Parses every model.safetensors without a library, compares names, shapes, dtypes and byte ranges
with what config.json implies, and compares model.py's logits with transformers' in fp32.
"""

import argparse
import json
import pathlib

import numpy as np
import tokenizers
import torch

import chat
import dataset
import evaluate
import make_data
import model as architecture

MOST_BYTES = 16_000_000
TOLERANCE = 2e-3


def read_header(path: pathlib.Path) -> tuple[dict, int]:
    """The tensor table of a safetensors file and the size of its data section."""
    raw = path.read_bytes()
    size = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8:8 + size])
    header.pop("__metadata__", None)
    return header, len(raw) - 8 - size


def expected_shapes(folder: pathlib.Path) -> dict[str, list[int]]:
    """Names and shapes of the published layouts of Llama and Mixtral."""
    config = architecture.Config.load(folder)
    hidden, inner = config.hidden_size, config.intermediate_size
    q, kv = (heads * config.head_dim for heads in (
        config.num_attention_heads, config.num_key_value_heads))
    shapes = {"model.embed_tokens.weight": [config.vocab_size, hidden],
              "model.norm.weight": [hidden]}
    if not config.tie_word_embeddings:
        shapes["lm_head.weight"] = [config.vocab_size, hidden]
    layer = {"input_layernorm": [hidden], "post_attention_layernorm": [hidden],
             "self_attn.q_proj": [q, hidden], "self_attn.k_proj": [kv, hidden],
             "self_attn.v_proj": [kv, hidden], "self_attn.o_proj": [hidden, q]}
    if config.num_local_experts:
        layer["block_sparse_moe.gate"] = [config.num_local_experts, hidden]
        for expert in range(config.num_local_experts):
            for matrix in ("w1", "w2", "w3"):
                layer[f"block_sparse_moe.experts.{expert}.{matrix}"] = (
                    [hidden, inner] if matrix == "w2" else [inner, hidden])
    else:
        layer |= {"mlp.gate_proj": [inner, hidden], "mlp.up_proj": [inner, hidden],
                  "mlp.down_proj": [hidden, inner]}
    for index in range(config.num_hidden_layers):
        shapes |= {f"model.layers.{index}.{name}.weight": shape for name, shape in layer.items()}
    return shapes


def check_file(folder: pathlib.Path) -> None:
    """Asserts that the weights file holds exactly the expected tensors, without gap or overlap."""
    path = folder / "model.safetensors"
    assert path.stat().st_size <= MOST_BYTES, path.stat().st_size
    header, size = read_header(path)
    assert {name: entry["shape"] for name, entry in header.items()} == expected_shapes(folder)
    end = 0
    for entry in sorted(header.values(), key=lambda entry: entry["data_offsets"]):
        begin, stop = entry["data_offsets"]
        assert begin == end and entry["dtype"] == "BF16"
        assert stop - begin == 2 * np.prod(entry["shape"])
        end = stop
    assert end == size


@torch.no_grad()
def check_logits(name: str, folder: pathlib.Path, prompts: int) -> float:
    """The largest difference of logits between the two implementations over some prompts."""
    ours = architecture.Model(architecture.Config.load(folder), dataset.LONGEST).eval()
    architecture.load(ours, folder / "model.safetensors")
    theirs = evaluate.load(folder, torch.float32, "cpu")
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    worst = 0.0
    rows = make_data.read_held_out()
    for row in rows[::len(rows) // prompts]:
        ids = torch.tensor(
            tokenizer.encode(row["prompt"][name], add_special_tokens=False).ids)
        places = torch.arange(len(ids))
        logits, _ = ours(ids, places, torch.tensor([0, len(ids)], dtype=torch.int32), places)
        worst = max(worst, (logits - theirs(ids[None]).logits[0]).abs().max().item())
    return worst


def main() -> None:
    """Checks both models."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, default=24, help="prompts whose logits are compared")
    args = parser.parse_args()
    for name in chat.STYLES:
        folder = make_data.HERE / name
        check_file(folder)
        worst = check_logits(name, folder, args.prompts)
        assert worst < TOLERANCE, worst
        print(f"{name}: file in order, logits differ by at most {worst:.2g}")


if __name__ == "__main__":
    main()
