#!/usr/bin/env python3
"""How much one client's long prompts slow others down: short streamed requests on a real server, alone and beside accepted prompts of the
model's whole context, sent over and over.

usage: long_prompts.py --bin-dir build/host/bin [--users 16] [--requests 256] [--long 2] [--pause 0] [--model DIR] [-- FLAG OF regatta serve ...]

Prints the median and the slowest request, from sending to the last event, and fails where the slowest beside long prompts takes over ten
times the median.
"""
import argparse
import http.client
import json
import pathlib
import random
import statistics
import sys
import threading
import time
import urllib.parse

from cluster import DENSE
from served import Served

SHORT_TOKENS = 24  # of an answer
LIMIT = 10
TIMEOUT_S = 300


class Client:
    """Keeps one connection."""

    def __init__(self, url):
        self._connection = http.client.HTTPConnection(urllib.parse.urlparse(url).netloc, timeout=TIMEOUT_S)

    def complete(self, model, prompt, max_tokens, stream):
        """Sends token ids; returns the answer's body and the seconds it took."""
        body = {"model": model, "prompt": prompt, "max_tokens": max_tokens, "ignore_eos": True, "stream": stream, "temperature": 0}
        begin = time.monotonic()
        self._connection.request("POST", "/v1/completions", json.dumps(body), {"Content-Type": "application/json"})
        answer = self._connection.getresponse()
        text = answer.read().decode()
        assert answer.status == 200, text
        return text, time.monotonic() - begin


class LongPrompts:
    """Clients that send prompts of `length` random tokens, each a new one `pause` seconds after the last, until they are told to stop."""

    def __init__(self, url, model, length, clients, pause):
        self.answered = 0
        self._arguments = url, model, length, pause
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._send, args=(number,)) for number in range(clients)]
        for thread in self._threads:
            thread.start()

    def _send(self, number):
        url, model, length, pause = self._arguments
        draw, client = random.Random(number), Client(url)
        while not self._stop.wait(pause):
            client.complete(model, [draw.randrange(100, 1000) for _ in range(length)], 1, stream=False)
            with self._lock:
                self.answered += 1

    def end(self):
        self._stop.set()
        for thread in self._threads:
            thread.join()


def short_requests(url, model, users, requests):
    """Seconds of every one of `requests` streams, `users` at a time."""
    seconds, left, lock = [], iter(range(requests)), threading.Lock()

    def use():
        client = Client(url)
        while True:
            with lock:
                number = next(left, None)
            if number is None:
                return
            text, took = client.complete(model, [200 + number % 700, 300, 400, 500], SHORT_TOKENS, stream=True)
            assert text.count("data: {") >= SHORT_TOKENS, text
            with lock:
                seconds.append(took)

    threads = [threading.Thread(target=use) for _ in range(users)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seconds) == requests, f"{requests - len(seconds)} of {requests} requests failed"
    return seconds


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
        client = http.client.HTTPConnection(urllib.parse.urlparse(server.http_url).netloc, timeout=TIMEOUT_S)
        client.request("GET", "/v1/models")
        (model,) = json.loads(client.getresponse().read())["data"]
        length = model["max_model_len"] - 1
        print(f"{'ms of a request':34}{'median':>12}{'slowest':>12}{'slowest/median':>16}")
        row("alone", short_requests(server.http_url, model["id"], options.users, options.requests))
        others = LongPrompts(server.http_url, model["id"], length, options.long, options.pause)
        try:
            ratio = row(f"beside prompts of {length} tokens", short_requests(server.http_url, model["id"], options.users, options.requests))
        finally:
            others.end()
        print(f"{others.answered} long prompts answered")
    assert others.answered > 0, "no long prompt was answered: nothing was measured"
    return 0 if ratio <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
