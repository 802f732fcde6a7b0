#!/usr/bin/env python3
"""Whether an answer's bytes depend on what shares its steps: prompts one by one, then again amid other people's requests, which come and go,
with prompts of all lengths. Tokens and log-probabilities must be the same to the last bit. On GPUs that takes `--deterministic`.

usage: same_bytes.py --bin-dir build/host/bin [--prompts 12] [--company 24] [--model DIR] [-- FLAG OF regatta serve ...]
"""
import argparse
import http.client
import json
import pathlib
import random
import sys
import threading
import urllib.parse

from cluster import DENSE
from served import Served

TOKENS = 40  # of an answer
TIMEOUT_S = 300


class Client:
    """Keeps one connection."""

    def __init__(self, url):
        self._connection = http.client.HTTPConnection(urllib.parse.urlparse(url).netloc, timeout=TIMEOUT_S)

    def get(self, path):
        self._connection.request("GET", path)
        return json.loads(self._connection.getresponse().read())

    def complete(self, **body):
        """The answer's choices, as bytes."""
        self._connection.request("POST", "/v1/completions", json.dumps({"ignore_eos": True, **body}), {"Content-Type": "application/json"})
        answer = self._connection.getresponse()
        text = answer.read()
        assert answer.status == 200, text
        return json.dumps(json.loads(text)["choices"])


def random_prompt(draw, most):
    return [draw.randrange(100, 1000) for _ in range(draw.randint(1, most))]


class Company:
    """`clients` people whose requests come and go until they are told to stop."""

    def __init__(self, url, model, clients, longest):
        self.answered = 0
        self._arguments = url, model, longest
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._send, args=(number,)) for number in range(clients)]
        for thread in self._threads:
            thread.start()

    def _send(self, number):
        url, model, longest = self._arguments
        draw, client = random.Random(number), Client(url)
        while not self._stop.is_set():
            client.complete(model=model, prompt=random_prompt(draw, longest), max_tokens=draw.randint(1, 30))
            with self._lock:
                self.answered += 1

    def end(self):
        self._stop.set()
        for thread in self._threads:
            thread.join()


def answers(url, model, prompts, at_once):
    """Of each prompt, likeliest tokens for even ones and drawn ones for odd ones."""
    found, left, lock = {}, list(enumerate(prompts)), threading.Lock()

    def ask():
        client = Client(url)
        while True:
            with lock:
                if not left:
                    return
                number, prompt = left.pop()
            found[number] = client.complete(model=model, prompt=prompt, max_tokens=TOKENS, logprobs=5, seed=number,
                                            temperature=0.8 if number % 2 else 0)

    threads = [threading.Thread(target=ask) for _ in range(at_once)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == len(prompts), f"{len(prompts) - len(found)} of {len(prompts)} requests failed"
    return [found[number] for number in range(len(prompts))]


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
        company = Company(server.http_url, model["id"], options.company, longest)
        try:
            amid = answers(server.http_url, model["id"], prompts, at_once=4)
        finally:
            company.end()
    differ = [number for number in range(options.prompts) if alone[number] != amid[number]]
    for number in differ[:3]:
        print(f"prompt {number}, alone:\n  {alone[number]}\namid others:\n  {amid[number]}")
    print(f"{options.prompts - len(differ)} of {options.prompts} answers of {TOKENS} tokens have the same bytes alone and amid {company.answered} "
          f"other requests")
    assert company.answered > 0, "nobody shared a step: nothing was tested"
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
