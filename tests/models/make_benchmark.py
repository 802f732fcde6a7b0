#!/usr/bin/env python3
"""Writes <model>/heldout.jsonl: the held-out set as a benchmark dataset of that model (trtllm-bench's JSON Lines plus `answer`).

The begin-of-text token is left out of the prompt where the tokenizer adds it by itself. Rows are shuffled, so that every part of
the file is a fair sample of all kinds and lengths; `task_id` is the row of heldout.jsonl.
"""

import argparse
import json
import random

import tokenizers

import chat
import make_data


def main() -> None:
    """Writes one dataset per model."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    rows = make_data.read_held_out()
    random.Random(0).shuffle(rows)
    for name in chat.STYLES:
        folder = make_data.HERE / name
        tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        begin = "".join(tokenizer.id_to_token(i) for i in tokenizer.encode("").ids)
        with (folder / "heldout.jsonl").open("w", encoding="utf-8") as file:
            for row in rows:
                tokens = len(tokenizer.encode(row["answer"], add_special_tokens=False).ids) + 1
                entry = {"task_id": row["id"], "prompt": row["prompt"][name].removeprefix(begin),
                         "output_tokens": tokens, "answer": row["answer"], "kind": row["kind"]}
                file.write(json.dumps(entry, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
