#!/usr/bin/env python3
"""Constrained output on a real server: requests with JSON schemas, each its own, among free ones, all at once. Every constrained answer must
be JSON that its schema allows, or say that its length ended it.

usage: constrained.py --bin-dir build/host/bin [--requests 64] [--model DIR] [-- FLAG OF regatta serve ...]
"""
import argparse
import json
import pathlib
import sys
import time

from cluster import DENSE
from crowd import Client, share
from served import Served


def schema_of(number):
    colours = [f"colour-{number}-{i}" for i in range(4)]
    return {"type": "object", "additionalProperties": False, "required": ["colour", "count", "tags"],
            "properties": {"colour": {"enum": colours}, "count": {"type": "integer", "minimum": number, "maximum": number + 9},
                           "tags": {"type": "array", "items": {"enum": ["a", "b"]}, "maxItems": 3}}}


def allows(schema, value):
    colour, count, tags = (schema["properties"][name] for name in ("colour", "count", "tags"))
    return (set(value) == {"colour", "count", "tags"} and value["colour"] in colour["enum"] and type(value["count"]) is int
            and count["minimum"] <= value["count"] <= count["maximum"] and len(value["tags"]) <= 3 and set(value["tags"]) <= {"a", "b"})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin-dir", type=pathlib.Path, required=True)
    parser.add_argument("--model", type=pathlib.Path, default=DENSE)
    parser.add_argument("--requests", type=int, default=64, help="constrained ones; as many free ones are beside them")
    parser.add_argument("flags", nargs="*", help="of regatta serve, after --")
    options = parser.parse_args()

    def ask(client, number):
        body = {"model": options.model.name, "messages": [{"role": "user", "content": f"{number} + {number}"}], "max_tokens": 200,
                "temperature": 1 if number % 4 == 0 else 0, "seed": number}
        if number % 2 == 0:
            body["response_format"] = {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": schema_of(number)}}
        return json.loads(client.post("/v1/chat/completions", **body))["choices"][0]

    def arrive(url):
        client = Client(url)
        return lambda number: ask(client, number)

    with Served(options.bin_dir, options.model, options.flags) as server:
        begin = time.monotonic()
        answers = share(range(2 * options.requests), 2 * options.requests, lambda: arrive(server.http_url))
        took = time.monotonic() - begin
    wrong, cut = [], 0
    for number in range(0, 2 * options.requests, 2):
        choice = answers[number]
        if choice["finish_reason"] == "length":
            cut += 1
        elif not allows(schema_of(number), json.loads(choice["message"]["content"])):
            wrong.append((number, choice["message"]["content"]))
    print("\n".join(f"request {number}: {text}" for number, text in wrong[:3]))
    print(f"{options.requests - cut - len(wrong)} of {options.requests} constrained answers are as their schemas say, {cut} were cut by "
          f"max_tokens; {took:.2f} s")
    return 1 if wrong or cut == options.requests else 0


if __name__ == "__main__":
    sys.exit(main())
