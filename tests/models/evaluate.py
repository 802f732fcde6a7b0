#!/usr/bin/env python3
"""Measures a shipped model's exact greedy answers on the held-out set, with transformers.

The weights are those of model.safetensors, so already rounded to bf16; --dtype says what is
computed in. The result goes into the model's MEASURED.json.
"""

import argparse
import collections
import pathlib

import torch
import transformers

import chat
import make_data
import measured

LONGEST_ANSWER = 128


def load(folder: pathlib.Path, dtype: torch.dtype, device: str) -> transformers.PreTrainedModel:
    """The model of a folder, ready to compute in `dtype`."""
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)
    return model.to(device).eval()


@torch.no_grad()
def answers(model, tokenizer, rows: list[dict], name: str, batch: int) -> list[str]:
    """Greedy answers without their end token, in the order of the rows.

    Prompts with answers of about the same length run together: a batch ends with its longest.
    """
    ids = [tokenizer(row["prompt"][name], add_special_tokens=False)["input_ids"] for row in rows]
    order = sorted(range(len(ids)), key=lambda i: (len(rows[i]["answer"]) // 16, len(ids[i])))
    texts = [""] * len(ids)
    for first in range(0, len(order), batch):
        chosen = order[first:first + batch]
        padded = tokenizer.pad({"input_ids": [ids[i] for i in chosen]}, padding_side="left",
                               return_tensors="pt").to(model.device)
        out = model.generate(**padded, do_sample=False, max_new_tokens=LONGEST_ANSWER)
        for i, row in zip(chosen, out[:, padded["input_ids"].shape[1]:].tolist()):
            texts[i] = tokenizer.decode(row, skip_special_tokens=True)
    return texts


@torch.no_grad()
def forced_answers(model, tokenizer, rows: list[dict], name: str, batch: int) -> list[str]:
    """As `answers`, in one pass per batch: a row's own answer where every greedy token agrees.

    Each token is predicted from the right ones before it, so an answer comes back whole if and
    only if greedy decoding yields it.
    """
    end = tokenizer.eos_token
    prompts = [tokenizer(row["prompt"][name], add_special_tokens=False)["input_ids"]
               for row in rows]
    goals = [tokenizer(row["answer"] + end, add_special_tokens=False)["input_ids"] for row in rows]
    order = sorted(range(len(rows)), key=lambda i: len(prompts[i]) + len(goals[i]))
    texts = [""] * len(rows)
    for first in range(0, len(order), batch):
        chosen = order[first:first + batch]
        padded = tokenizer.pad({"input_ids": [prompts[i] + goals[i] for i in chosen]},
                               padding_side="right", return_tensors="pt")["input_ids"]
        best = model(padded.to(model.device)).logits.argmax(-1).tolist()
        for i, row in zip(chosen, best):
            start = len(prompts[i]) - 1
            texts[i] = tokenizer.decode(row[start:start + len(goals[i])]).removesuffix(end)
    return texts


def main() -> None:
    """Evaluates one model in one precision."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=list(chat.STYLES), required=True)
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--batch", type=int, default=112)
    parser.add_argument("--one-pass", action="store_true",
                        help="predict all tokens of the right answers at once: same verdicts")
    parser.add_argument("--out", type=pathlib.Path, help="folder of MEASURED.json")
    args = parser.parse_args()
    folder = make_data.HERE / args.model
    rows = make_data.read_held_out()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = load(folder, getattr(torch, args.dtype), args.device)
    answer = forced_answers if args.one_pass else answers
    given = answer(model, tokenizer, rows, args.model, args.batch)
    right = collections.defaultdict(list)
    wrong = []
    for row, text in zip(rows, given, strict=True):
        exact = text == row["answer"]
        right["all"].append(exact)
        right[row["kind"]].append(exact)
        if not exact:
            wrong.append(row["id"])
            print(f"{row['id']} {row['kind']}: {text!r} is not {row['answer']!r}")
    shares = {kind: round(sum(hits) / len(hits), 4) for kind, hits in right.items()}
    print(f"{args.model} {args.dtype} on {args.device}: {shares}")
    measured.record(args.out or folder, f"held_out_exact_{args.dtype}", {
        "prompts": len(rows), "device": args.device, "one_pass": args.one_pass, **shares,
        "wrong_ids": wrong})


if __name__ == "__main__":
    main()
