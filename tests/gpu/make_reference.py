#!/usr/bin/env python3
"""Writes a random checkpoint of a real architecture, and what transformers computes with it, on this machine's GPU.

make_reference.py CONFIG_DIR LAYERS OUT_DIR: OUT_DIR/model gets config.json and bf16 safetensors of the shape in CONFIG_DIR with
LAYERS layers; OUT_DIR/reference.json says how many prompts of which lengths were continued by how many tokens; tokens.i32 has
every prompt and its continuation; logits.f32 the float32 logits (weights as stored, arithmetic in float32) at the last prompt
position and at every continuation; reference.json also has the relative error of transformers' own bfloat16 logits, which a
bfloat16 implementation is measured against.
"""

import json
import pathlib
import random
import sys

import torch
import transformers

LENGTHS = [5, 33, 128, 61]
CONTINUED = 64


@torch.no_grad()
def logits_of(model, rows: list[list[int]]) -> list[torch.Tensor]:
    """Float32 logits at the last prompt position and every continuation but the last, per row."""
    result = []
    for row, length in zip(rows, LENGTHS):
        out = model(torch.tensor([row], device="cuda")).logits[0]
        result.append(out[length - 1:length + CONTINUED].float())
    return result


def main() -> None:
    config_dir, layers, out = sys.argv[1], int(sys.argv[2]), pathlib.Path(sys.argv[3])
    out.mkdir(parents=True, exist_ok=True)
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.manual_seed(11)
    config = transformers.AutoConfig.from_pretrained(config_dir)
    config.num_hidden_layers = layers
    config.torch_dtype = "bfloat16"
    if getattr(config, "layer_types", None):
        config.layer_types = config.layer_types[:layers]
    with torch.device("cuda"):
        model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    # Initial norms are all 1 and would hide a forgotten weight; initial matrices are too small to tell experts apart.
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name:
                parameter.uniform_(0.5, 1.5)
            elif parameter.dim() > 1 and "embed" not in name:
                parameter.normal_(0, parameter.shape[-1] ** -0.5)
    model.eval()
    model.save_pretrained(out / "model")
    rng = random.Random(5)
    rows = [[rng.randrange(config.vocab_size) for _ in range(n + CONTINUED)] for n in LENGTHS]
    rounded = logits_of(model, rows)
    model.float()
    exact = logits_of(model, rows)
    error = (sum((a - b).square().sum() for a, b in zip(rounded, exact)) /
             sum(b.square().sum() for b in exact)).sqrt().item()
    same = sum((a.argmax(-1) == b.argmax(-1)).sum().item() for a, b in zip(rounded, exact))
    torch.cat(exact).cpu().numpy().astype("<f4").tofile(out / "logits.f32")
    with open(out / "tokens.i32", "wb") as file:
        for row in rows:
            file.write(torch.tensor(row, dtype=torch.int32).numpy().tobytes())
    (out / "reference.json").write_text(json.dumps({
        "lengths": LENGTHS, "continued": CONTINUED, "vocab": config.vocab_size,
        "bfloat16_error": error, "bfloat16_same_choice": same / (len(rows) * (CONTINUED + 1)),
        "made_with": f"transformers {transformers.__version__}, torch {torch.__version__}"}))
    print(f"{config.architectures or config.model_type}, {layers} layers: bfloat16 error {error:.2e}")


if __name__ == "__main__":
    main()
