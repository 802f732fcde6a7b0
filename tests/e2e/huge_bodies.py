#!/usr/bin/env python3
"""How much clients with the largest bodies that are read slow down a small one, and what memory of the router they leave behind.

usage: huge_bodies.py --bin-dir build/host/bin [--clients 8] [--requests 1000]

Each of the clients posts 16 MiB of JSON that costs most to read, over and over; meanwhile prompts of 18 KB are tokenized, one after another.
Prints the median and the slowest of these, alone and beside, and the router's resident memory: before, at most, and two seconds after.
Fails where the median beside is over 50 ms, or more than 64 MB stay.
"""
import argparse
import http.client
import pathlib
import statistics
import sys
import time
import urllib.parse

from cluster import DENSE
from crowd import TIMEOUT_S, Client, Crowd
from processes import children, resident_mb
from served import Served

HUGE_BYTES = 16 << 20
SMALL = "one two three " * (18_000 // 14)
LIMIT_MS = 50
LIMIT_LEFT_MB = 64


def huge_bodies(url, model):
    """Sends a body of many small values, which is refused once it has been read."""
    head = b'{"model": "%s", "prompt": [' % model.encode()
    body = head + b'"",' * ((HUGE_BYTES - len(head) - 4) // 3) + b'""]}'

    def arrive(_):
        connection = http.client.HTTPConnection(urllib.parse.urlparse(url).netloc, timeout=TIMEOUT_S)

        def ask(_):
            connection.request("POST", "/v1/completions", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read().decode()
            assert answer.status == 400 and "prompts times n" in text, text

        return ask

    return arrive


def small_requests(url, requests):
    client, seconds = Client(url), []
    for _ in range(requests):
        begin = time.monotonic()
        client.post("/tokenize", prompt=SMALL)
        seconds.append(time.monotonic() - begin)
    return seconds


def row(name, seconds):
    median = 1e3 * statistics.median(seconds)
    print(f"{name:34}{median:12.1f}{1e3 * max(seconds):12.1f}", flush=True)
    return median


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin-dir", type=pathlib.Path, required=True)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--requests", type=int, default=1000)
    options = parser.parse_args()
    with Served(options.bin_dir, DENSE, ["--device", "cpu", "--threads", "1"]) as server:
        (router,) = children(server.pid, "regatta-router")
        (model,) = Client(server.http_url).get("/v1/models")["data"]
        print(f"{'ms of 18 KB':34}{'median':>12}{'slowest':>12}")
        row("alone", small_requests(server.http_url, options.requests))
        before_mb = resident_mb(router)
        with Crowd(options.clients, huge_bodies(server.http_url, model["id"])) as others:
            while others.answered < options.clients:
                time.sleep(0.01)
            median = row(f"beside {options.clients} clients with 16 MiB", small_requests(server.http_url, options.requests))
            most_mb = resident_mb(router)
        time.sleep(2)
        left_mb = resident_mb(router)
        print(f"{others.answered} bodies of 16 MiB answered; router's memory {before_mb:.0f} MB before, {most_mb:.0f} during, {left_mb:.0f} after")
    return 0 if median <= LIMIT_MS and left_mb - before_mb <= LIMIT_LEFT_MB else 1


if __name__ == "__main__":
    sys.exit(main())
