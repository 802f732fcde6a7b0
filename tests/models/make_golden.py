#!/usr/bin/env python3
"""Writes what transformers computes with the shipped models in fp32, for tests to compare with.

tests/golden/<model>.json: prompts (token ids) of mixed lengths with their greedy tokens, the end
token included where it was reached, and at every step the gap between the two highest logits, so
that a near-tie can be told from a fault. Some prompts carry all logits at their last position,
as base64 of little-endian float32. tests/golden/tokenizer_<model>.json: texts with their ids,
with and without special tokens added, and the text decoded from the latter.
"""

import argparse
import base64
import json
import pathlib
import random

import tokenizers
import torch
import transformers

import chat
import evaluate
import make_data
import tasks

SEED = 7
NEW_TOKENS = 64


def choose_prompts(name: str, tokenizer: tokenizers.Tokenizer, size: int) -> list[dict]:
    """Held-out prompts spread evenly over the whole range of lengths."""
    rows = make_data.read_held_out()
    for row in rows:
        row["ids"] = tokenizer.encode(row["prompt"][name], add_special_tokens=False).ids
    rows.sort(key=lambda row: (len(row["ids"]), row["id"]))
    longest = rows[-size // 4:]
    others = rows[:-size // 4]
    step = len(others) / (size - len(longest))
    chosen = [others[int(i * step)] for i in range(size - len(longest))] + longest
    random.Random(SEED).shuffle(chosen)
    return chosen


@torch.no_grad()
def greedy(model, ids: list[int], ends: set[int]) -> tuple[list[int], list[float], torch.Tensor]:
    """Greedy tokens of one prompt alone, the gap at every step, and the first step's logits."""
    tokens, gaps, cache, first = [], [], None, None
    fed = torch.tensor([ids], device=model.device)
    while len(tokens) < NEW_TOKENS and (not tokens or tokens[-1] not in ends):
        out = model(fed, past_key_values=cache, use_cache=True)
        logits, cache = out.logits[0, -1].float(), out.past_key_values
        first = logits if first is None else first
        best, second = logits.topk(2).values.tolist()
        tokens.append(int(logits.argmax()))
        gaps.append(round(best - second, 5))
        fed = torch.tensor([[tokens[-1]]], device=model.device)
    return tokens, gaps, first


def model_golden(name: str, folder: pathlib.Path, size: int, with_logits: int,
                 device: str) -> dict:
    """The golden of one model; every (size / with_logits)-th prompt carries its logits."""
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    model = evaluate.load(folder, torch.float32, device)
    ends = model.generation_config.eos_token_id
    ends = {ends} if isinstance(ends, int) else set(ends)
    cases = []
    for index, row in enumerate(choose_prompts(name, tokenizer, size)):
        tokens, gaps, logits = greedy(model, row["ids"], ends)
        case = {"heldout_id": row["id"], "kind": row["kind"], "prompt": row["ids"],
                "tokens": tokens, "gaps": gaps,
                "text": tokenizer.decode(tokens, skip_special_tokens=True)}
        if index % (size // with_logits) == 0:
            raw = logits.cpu().numpy().astype("<f4").tobytes()
            case["last_prompt_logits"] = base64.b64encode(raw).decode()
        cases.append(case)
    return {"model": name, "made_with": f"transformers {transformers.__version__}, "
            f"torch {torch.__version__}, float32 on {device}", "max_new_tokens": NEW_TOKENS,
            "stop_tokens": sorted(ends), "smallest_gap": min(min(c["gaps"]) for c in cases),
            "cases": cases}


FIXED_TEXTS = [
    "", " ", "  ", "\n", "\n\n", "\t", "\r\n", " \n ", "\n \n", "   leading", "trailing   ", "a",
    "Hello, world!", "hello world", "HELLO", "don't", "DON'T we'll I'm they've he'd it's you're",
    "it’s", "1", "12", "123", "1234", "12345678901234567890", "3.14159", "1,000,000", "-5", "+7",
    "1 + 2 = 3", "a1b2c3", "x=1;y=2", "½ ¼ ²³", "١٢٣ ४५६", "Ⅷ", "①②③",
    "naïve café", "e\u0301 and é", "A\u030angstro\u0308m", "ﬁ ligature", "Straße", "İstanbul",
    "Ελληνικά", "русский текст", "עברית", "العربية", "हिन्दी", "ไทย", "日本語のテキスト",
    "中文字符", "한국어", "한국어", "👍", "👍🏽", "👨‍👩‍👧‍👦", "🏳️‍🌈", "🇫🇷🇯🇵", "a😀b😀c", "☃️",
    "\u200b", "a\u200bb", "\u00a0", "a\u00a0b", "\u2003wide\u2003", "\u3000", "\ufeffbom",
    "\x00", "\x01\x02", "\x7f", "\u0085", "\u2028", "\ufffd", "\U0010ffff", "\ue000",
    "def f(x):\n    return x + 1\n", "for (int i = 0; i < n; ++i) {\n\tsum += a[i];\n}",
    "#include <vector>\r\n\r\nint main() {}\r\n", "SELECT * FROM t WHERE a='b';",
    "<html><body>&amp;</body></html>", "{\"key\": [1, 2.5, null]}", "a/b\\c:d|e",
    "https://a.b/c?d=e",
    "...", "!!!???", "---", "***", "____", "((()))", "$$$", "#tag @name", "`code`", "~/.bashrc",
    "...\n", "!\n\n", "?\r\n\r\n", " ...", " !x", "x !", "\n\nx", "x\n\n", "x \n y", "x  \n  y",
    "\t\tindent", " \t mixed \t ", "a  b   c    d", "tab\tseparated\tvalues",
    "line1\nline2\n\nline4",
    "<|begin_of_text|>", "<|eot_id|>", "<|start_header_id|>user<|end_header_id|>\n\n",
    "<|im_start|>",
    "<|im_end|>", "<|endoftext|>", "<|end_of_text|>", "a<|eot_id|>b", "a<|im_end|>b",
    " <|im_end|> ", "<|im_end|><|im_end|>", "<|eot_id|><|eot_id|>", "<|im_end", "im_end|>",
    "<|", "|>", "<| im_end |>", "<|IM_END|>", "<|eot_id|", "<<|eot_id|>>", "<|im_<|im_end|>end|>",
    "<|begin_of_text|><|begin_of_text|>x", "<s>", "</s>", "[INST]", "<pad>", "<unk>", "<0x0A>",
    "▁", "Ġ", "Ċ", "ĠĊ", "Ā", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "=" * 40, " " * 33, "\n" * 17,
    "0" * 25, "ab" * 30, "'s", "'S", " 's", "'ll'LL", "''", "'", "'t't", "ſ's", "\u212a'm",
]


def texts(size: int) -> list[str]:
    """The fixed texts, then messages of the training data, then random mixtures of characters."""
    rng = random.Random(SEED)
    found = list(dict.fromkeys(FIXED_TEXTS))
    while len(found) < size * 2 // 3:
        found.append(rng.choice(list(tasks.TASKS.values()))(rng)[0][:400])
    ranges = [(32, 126), (32, 126), (9, 13), (160, 591), (880, 1279), (0x4e00, 0x4fff),
              (0x1f300, 0x1f64f), (0x300, 0x36f), (0x2000, 0x206f), (48, 57), (0xac00, 0xad00)]
    while len(found) < size:
        picked = rng.sample(ranges, 3)
        found.append("".join(chr(rng.randint(*rng.choice(picked)))
                             for _ in range(rng.randint(1, 40))))
    return found


def tokenizer_golden(name: str, folder: pathlib.Path, size: int) -> dict:
    """Texts with their ids, and the text decoded again."""
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    cases = []
    for text in texts(size) + [row["prompt"][name] for row in make_data.read_held_out()[::60]]:
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        cases.append({
            "text": text, "ids": ids,
            "ids_with_special": tokenizer.encode(text, add_special_tokens=True).ids,
            "decoded": tokenizer.decode(ids, skip_special_tokens=False),
            "decoded_without_special": tokenizer.decode(ids, skip_special_tokens=True)})
    return {"model": name, "made_with": f"tokenizers {tokenizers.__version__}", "cases": cases}


def write(path: pathlib.Path, golden: dict) -> None:
    """One case a line, so that a change can be read in a diff."""
    cases = golden.pop("cases")
    head = json.dumps(golden, indent=1)[:-2]
    body = ",\n".join(json.dumps(case) for case in cases)
    path.write_text(f'{head},\n "cases": [\n{body}\n]}}\n', encoding="utf-8")
    print(f"{path.name}: {len(cases)} cases, {path.stat().st_size} bytes")


def main() -> None:
    """Writes the goldens of both models."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=list(chat.STYLES), help="only this model")
    parser.add_argument("--prompts", type=int, default=64)
    parser.add_argument("--with-logits", type=int, default=8)
    parser.add_argument("--texts", type=int, default=300)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=pathlib.Path, default=make_data.HERE.parent / "golden")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for name in [args.model] if args.model else chat.STYLES:
        folder = make_data.HERE / name
        write(args.out / f"tokenizer_{name}.json", tokenizer_golden(name, folder, args.texts))
        write(args.out / f"{name}.json", model_golden(
            name, folder, args.prompts, args.with_logits, args.device))


if __name__ == "__main__":
    main()
