#!/usr/bin/env python3
"""How much one client's long prompts slow others down: short streamed requests on a real server, alone and beside accepted prompts of the
model's whole context, sent over and over.

usage: long_prompts.py --bin-dir build/host/bin [--users 16] [--requests 256] [--long 2] [--pause 0] [--model DIR] [-- FLAG OF regatta serve ...]

Prints the median and the slowest request, from sending to the last event, and fails where the slowest beside long prompts takes over ten
times the median.
"""
import argparse
import pathlib
import random
import statistics
import sys
import time

from cluster import DENSE
from crowd import Client, Crowd, share
from served import Served

SHORT_TOKENS = 24  # of an answer
LIMIT = 10


def complete(client, model, prompt, max_tokens, stream):
    return client.post("/v1/completions", model=model, prompt=prompt, max_tokens=max_tokens, ignore_eos=True, stream=stream, temperature=0)


def long_prompts(url, model, length, pause, number):
    """Sends prompts of `length` random tokens, each a new one `pause` seconds after the last."""
    draw, client = random.Random(number), Client(url)

    def ask(stop):
        if not stop.wait(pause):
            complete(client, model, [draw.randrange(100, 1000) for _ in range(length)], 1, stream=False)

    return ask


def short_requests(url, model, users, requests):
    """Seconds of every one of `requests` streams, `users` at a time."""

    def arrive():
        client = Client(url)

        def ask(number):
            begin = time.monotonic()
            text = complete(client, model, [200 + number % 700, 300, 400, 500], SHORT_TOKENS, stream=True)
            assert text.count("data: {") >= SHORT_TOKENS, text
            return time.monotonic() - begin

        return ask

    return share(range(requests), users, arrive)


def row(name, seconds):
    median, slowest = statistics.median(seconds), max(seconds)
    print(f"{name:34}{1e3 * median:12.1f}{1e3 * slowest:12.1f}{slowest / median:16.2f}", flush=True)
    return slowest / median


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin-dir", type=pathlib.Path, required=True)
    parser.add_argument("--model", type=pathlib.Path, default=DENSE)
    parser.add_argument("--users", type=int, default=16)
    parser.add_argument("--requests", type=int, default=256)
    parser.add_argument("--long", type=int, default=2, help="clients that send long prompts")
    parser.add_argument("--pause", type=float, default=0, help="seconds between a client's long prompts: the median is then of requests alone")
    parser.add_argument("flags", nargs="*", help="of regatta serve, after --; default: CPU ranks and prompts in chunks of 128 tokens")
    options = parser.parse_args()
    flags = options.flags or ["--device", "cpu", "--max-batch-size", "64", "--max-num-tokens", "128"]
    with Served(options.bin_dir, options.model, flags) as server:
        (model,) = Client(server.http_url).get("/v1/models")["data"]
        length = model["max_model_len"] - 1
        print(f"{'ms of a request':34}{'median':>12}{'slowest':>12}{'slowest/median':>16}")
        row("alone", short_requests(server.http_url, model["id"], options.users, options.requests))
        send = lambda number: long_prompts(server.http_url, model["id"], length, options.pause, number)
        with Crowd(options.long, send) as others:
            ratio = row(f"beside prompts of {length} tokens", short_requests(server.http_url, model["id"], options.users, options.requests))
        print(f"{others.answered} long prompts answered")
    assert others.answered > 0, "no long prompt was answered: nothing was measured"
    return 0 if ratio <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
