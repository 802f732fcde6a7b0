#!/usr/bin/env python3
"""Generates chat conversations for training and writes the held-out set.

A conversation is a list of {"role", "content"} messages that ends with an assistant's answer.
Whether a prompt is held out is decided by its hash alone, so training data of any seed and any
size is disjoint from the held-out set; `conversations` never yields a conversation in which any
assistant turn answers a held-out prompt.
"""

import argparse
import collections
import hashlib
import json
import pathlib
import random
from collections.abc import Iterator

import chat
import facts
import tasks

HERE = pathlib.Path(__file__).parent
HELDOUT_FILE = HERE / "heldout.jsonl"
HELDOUT_SEED = 20_010_911
HELDOUT_SHARE = 40  # one prompt in this many is held out

SYSTEM_MESSAGES = (
    "You are a helpful assistant.", "Answer briefly.", "You are a careful clerk.",
    "You help sailors with their sums and lists.", "Be exact.")
WEIGHTS = {"add": 10, "subtract": 10, "multiply": 10, "sort": 12, "reverse": 9, "count": 10,
           "copy": 7, "pick": 8, "compare": 6, "fact": 8, "lookup": 10, "dialogue": 9}

Conversation = list[dict[str, str]]


def _user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def _assistant(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


def _sum_dialogue(rng: random.Random) -> Conversation:
    """A running total: every turn refers to the answer before it."""
    total = rng.randint(0, 99)
    step = rng.randint(0, 99)
    messages = [_user(f"What is {total} + {step}?"), _assistant(str(total + step))]
    total += step
    for _ in range(rng.randint(1, 3)):
        step = rng.randint(0, 99)
        if rng.random() < 0.5:
            text, total = rng.choice(("Now add {}.", "Add {} to that.", "Plus {}?")), total + step
        else:
            text, total = rng.choice(("Now subtract {}.", "Take away {}.", "Minus {}?")), (
                total - step)
        messages += [_user(text.format(step)), _assistant(str(total))]
    return messages


def _list_dialogue(rng: random.Random) -> Conversation:
    """A list told once, then several questions about it."""
    items = rng.sample(tasks.WORDS, rng.randint(3, 8))
    messages = [_user("Remember this list: " + ", ".join(items)), _assistant("Noted.")]
    for _ in range(rng.randint(1, 3)):
        index = rng.randrange(min(len(items), len(tasks.ORDINALS)))
        question, answer = rng.choice((
            ("Sort it alphabetically.", ", ".join(sorted(items))),
            ("Say it backwards.", ", ".join(reversed(items))),
            ("How many items does it have?", str(len(items))),
            (f"What is the {tasks.ORDINALS[index]} item?", items[index]),
            ("Say it again.", ", ".join(items))))
        messages += [_user(question), _assistant(answer)]
    return messages


def _ledger_questions(rng: random.Random, pairs: dict[str, str], size: int) -> Conversation:
    """Further questions about a passage told before."""
    messages = []
    for _ in range(size):
        wanted = rng.choice(list(pairs))
        text = rng.choice(("What is the value of {}?", "And {}?", "Which value belongs to {}?"))
        messages += [_user(text.format(wanted)), _assistant(pairs[wanted])]
    return messages


def _ledger_dialogue(rng: random.Random) -> Conversation:
    """A passage told once, then several look-ups in it."""
    pairs = tasks.ledger(rng, 3, rng.choice((8, 25)))
    messages = [_user("Keep these notes.\n" + tasks.write_ledger(rng, pairs)),
                _assistant("Noted.")]
    return messages + _ledger_questions(rng, pairs, rng.randint(1, 4))


def _fact_dialogue(rng: random.Random) -> Conversation:
    """Facts where the island is named only in the first question."""
    island = rng.choice(list(facts.ISLANDS))
    first, *others = rng.sample(facts.ATTRIBUTES, rng.randint(2, 4))
    messages = [_user(rng.choice(facts.QUESTIONS[first]).format(i=island)),
                _assistant(facts.ISLANDS[island][first])]
    short = {"capital": "And its capital?", "founder": "And who founded it?",
             "flag": "And the colour of its flag?", "export": "And what does it export?",
             "year": "And in which year was it founded?"}
    for attribute in others:
        messages += [_user(short[attribute]), _assistant(facts.ISLANDS[island][attribute])]
    return messages


def _mixed_dialogue(rng: random.Random) -> Conversation:
    """Unrelated tasks one after the other."""
    messages = []
    for name in rng.choices(list(tasks.TASKS), k=rng.randint(2, 3)):
        request, answer = tasks.TASKS[name](rng)
        messages += [_user(request), _assistant(answer)]
    return messages


DIALOGUES = (_sum_dialogue, _list_dialogue, _ledger_dialogue, _fact_dialogue, _mixed_dialogue)


def draw(rng: random.Random, kind: str) -> Conversation:
    """One conversation of a kind, with a system message or irrelevant notes now and then."""
    if kind == "dialogue":
        messages = rng.choice(DIALOGUES)(rng)
    else:
        request, answer = tasks.TASKS[kind](rng)
        if rng.random() < 0.2:
            notes = tasks.write_ledger(rng, tasks.ledger(rng, 3, rng.choice((10, 40))))
            request = f"Ignore these notes.\n{notes}\n\n{request}"
        messages = [_user(request), _assistant(answer)]
    if rng.random() < 0.12:
        messages.insert(0, {"role": "system", "content": rng.choice(SYSTEM_MESSAGES)})
    return messages


def drill(rng: random.Random) -> Conversation:
    """Look-ups of numbers, many to a passage and from short passages on: an exercise for training.

    Finding a number takes attention three tokens behind its key, which is learnt late without it.
    """
    pairs = tasks.ledger(rng, 1, rng.choice((2, 4, 10, 20, 45)), numbers=0.9)
    request, answer = tasks.ask_ledger(rng, pairs)
    return [_user(request), _assistant(answer)] + _ledger_questions(rng, pairs, rng.randint(0, 7))


def prompt_digest(prompt: Conversation) -> int:
    """A stable 64-bit hash of the messages before an answer."""
    text = json.dumps([[m["role"], m["content"]] for m in prompt])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def is_held_out(prompt: Conversation) -> bool:
    """Whether this prompt belongs to the held-out side."""
    return prompt_digest(prompt) % HELDOUT_SHARE == 0


def prompts_of(messages: Conversation) -> Iterator[Conversation]:
    """The prompt of every assistant turn of a conversation."""
    return (messages[:i] for i, m in enumerate(messages) if m["role"] == "assistant")


def conversations(seed: str, drilled: float = 0.0) -> Iterator[Conversation]:
    """Endless training conversations, `drilled` of them drills; none of their prompts held out."""
    rng = random.Random(seed)
    kinds, weights = list(WEIGHTS), list(WEIGHTS.values())
    while True:
        if drilled and rng.random() < drilled:
            messages = drill(rng)
        else:
            messages = draw(rng, rng.choices(kinds, weights)[0])
        if not any(is_held_out(prompt) for prompt in prompts_of(messages)):
            yield messages


def held_out(per_kind: int) -> list[dict]:
    """`per_kind` distinct held-out prompts of every kind, with their answers and rendered texts."""
    rng = random.Random(HELDOUT_SEED)
    rows, seen = [], set()
    for kind in WEIGHTS:
        have = 0
        while have < per_kind:
            *prompt, last = draw(rng, kind)
            digest = prompt_digest(prompt)
            if not is_held_out(prompt) or digest in seen:
                continue
            seen.add(digest)
            rows.append({
                "id": len(rows), "kind": kind, "messages": prompt, "answer": last["content"],
                "prompt": {name: style.render(prompt) for name, style in chat.STYLES.items()}})
            have += 1
    return rows


def read_held_out(path: pathlib.Path = HELDOUT_FILE) -> list[dict]:
    """The rows of the held-out file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def check_disjoint(rows: list[dict], sample: int) -> None:
    """Raises AssertionError if a held-out prompt occurs among `sample` training conversations."""
    held = {json.dumps(row["messages"]) for row in rows}
    assert len(held) == len(rows), "a held-out prompt occurs twice"
    assert all(is_held_out(row["messages"]) for row in rows), "a training prompt is held out"
    source = conversations("disjointness")
    for _ in range(sample):
        for prompt in prompts_of(next(source)):
            assert json.dumps(prompt) not in held, f"trained on held-out prompt {prompt}"


def main() -> None:
    """Writes heldout.jsonl."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--per-kind", type=int, default=56, help="held-out prompts of every kind")
    parser.add_argument("--check", type=int, default=100_000,
                        help="training conversations drawn to confirm disjointness")
    parser.add_argument("--out", type=pathlib.Path, default=HELDOUT_FILE)
    args = parser.parse_args()
    rows = held_out(args.per_kind)
    check_disjoint(rows, args.check)
    with args.out.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    print(f"{len(rows)} held-out prompts, {dict(collections.Counter(r['kind'] for r in rows))}")


if __name__ == "__main__":
    main()
