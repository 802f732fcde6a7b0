#!/usr/bin/env python3
"""Whether an answer's bytes depend on what shares its steps: prompts one by one, then again amid other people's requests, which come and go,
with prompts of all lengths. Tokens and log-probabilities must be the same to the last bit. On GPUs that takes `--deterministic`.

usage: same_bytes.py --bin-dir build/host/bin [--prompts 12] [--company 24] [--model DIR] [-- FLAG OF regatta serve ...]
"""
import argparse
import json
import pathlib
import random
import sys

from cluster import DENSE
from crowd import Client, Crowd, share
from served import Served

PATH = "/v1/completions"
TOKENS = 40  # of an answer


def random_prompt(draw, most):
    return [draw.randrange(100, 1000) for _ in range(draw.randint(1, most))]


def stranger(url, model, longest, number):
    """Sends requests of all kinds."""
    draw, client = random.Random(number), Client(url)
    return lambda _: client.post(PATH, model=model, prompt=random_prompt(draw, longest), max_tokens=draw.randint(1, 30), ignore_eos=True)


def answers(url, model, prompts, at_once):
    """Of each prompt the choices, as bytes: likeliest tokens for even ones and drawn ones for odd ones."""

    def arrive():
        client = Client(url)

        def ask(item):
            number, prompt = item
            text = client.post(PATH, model=model, prompt=prompt, max_tokens=TOKENS, logprobs=5, seed=number, temperature=0.8 if number % 2 else 0,
                               ignore_eos=True)
            return json.dumps(json.loads(text)["choices"])

        return ask

    return share(list(enumerate(prompts)), at_once, arrive)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin-dir", type=pathlib.Path, required=True)
    parser.add_argument("--model", type=pathlib.Path, default=DENSE)
    parser.add_argument("--prompts", type=int, default=12)
    parser.add_argument("--company", type=int, default=24, help="other people's requests at once")
    parser.add_argument("flags", nargs="*", help="of regatta serve, after --; default: CPU ranks, prompts in chunks of 64 tokens")
    options = parser.parse_args()
    flags = options.flags or ["--device", "cpu", "--max-batch-size", "32", "--max-num-tokens", "64"]
    with Served(options.bin_dir, options.model, flags) as server:
        (model,) = Client(server.http_url).get("/v1/models")["data"]
        longest = min(model["max_model_len"] // 2, 600)
        draw = random.Random("prompts")
        prompts = [random_prompt(draw, longest) for _ in range(options.prompts)]
        alone = answers(server.http_url, model["id"], prompts, at_once=1)
        with Crowd(options.company, lambda number: stranger(server.http_url, model["id"], longest, number)) as company:
            amid = answers(server.http_url, model["id"], prompts, at_once=4)
    differ = [number for number in range(options.prompts) if alone[number] != amid[number]]
    for number in differ[:3]:
        print(f"prompt {number}, alone:\n  {alone[number]}\namid others:\n  {amid[number]}")
    print(f"{options.prompts - len(differ)} of {options.prompts} answers of {TOKENS} tokens have the same bytes alone and amid {company.answered} "
          f"other requests")
    assert company.answered > 0, "nobody shared a step: nothing was tested"
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
