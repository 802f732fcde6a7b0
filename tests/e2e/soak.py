#!/usr/bin/env python3
"""A long run of mixed load on a real server whose layout changes under it: no answer may be wrong, nothing may hang, nothing may leak.

usage: soak.py --bin-dir build/host/bin [--minutes 30] [--people 16] [--layouts "--pp 2;--dp 2;--tp 2"] [-- FLAG OF regatta serve ...]

People send held-out questions, prompts of random tokens of all lengths, drawn answers, constrained ones, prompts that are too long; they read
them whole, as streams, or leave in the middle. Meanwhile the pool takes one layout after another. Every answer is compared with the one that
the same request got alone before; --differ is the share that may be another (0: ranks on CPUs; in 16 bits on GPUs near ties fall either way).
At the end the server must be as idle and as small as before: no request, no used block, no file, thread or memory more.
"""
import argparse
import collections
import dataclasses
import http.client
import json
import pathlib
import random
import shutil
import subprocess
import sys
import threading
import time
import urllib.parse

from cluster import DENSE
from constrained import allows, schema_of
from crowd import Client, Crowd
from processes import descendants, name_of, open_files, resident_mb, threads
from served import Served

ANSWER_LIMIT_S = 120  # after which a request counts as hanging
GROWTH_MB = 64  # of a process, allowed
SHOWN = 5  # findings of a kind that are printed


@dataclasses.dataclass
class Case:
    path: str
    body: dict
    schema: dict | None = None
    alone: list | None = None  # what it answered before the load


def choices_of(text):
    """(text, why it ended) of every choice, from a whole answer or from a stream's events."""
    if not text.startswith("data:"):
        return [(c["text"] if "text" in c else c["message"]["content"], c["finish_reason"]) for c in json.loads(text)["choices"]]
    found = {}
    for event in text.split("\n\n"):
        if not event.startswith("data: {"):
            continue
        event = json.loads(event[len("data: "):])
        assert "error" not in event, event
        for choice in event["choices"]:
            part = choice["text"] if "text" in choice else choice["delta"].get("content") or ""
            so_far, _ = found.get(choice["index"], ("", None))
            found[choice["index"]] = (so_far + part, choice["finish_reason"])
    return [found[index] for index in sorted(found)]


def make_cases(folder, model, count, draw):
    """Requests of all kinds, a third of them held-out questions."""
    questions = [json.loads(line) for line in (folder / "heldout.jsonl").read_text().splitlines()]
    longest = model["max_model_len"]
    cases = []
    for number in range(count):
        body = {"model": model["id"], "temperature": 0, "seed": number}
        path, schema = "/v1/completions", None
        kind = number % 6
        if kind < 2:
            question = draw.choice(questions)
            body |= {"prompt": question["prompt"], "max_tokens": question["output_tokens"] + 4}
        elif kind == 2:
            body |= {"prompt": draw.choice(questions)["prompt"], "max_tokens": 40, "temperature": 0.8, "n": draw.randint(1, 3)}
        elif kind == 3:
            prompt = [draw.randrange(100, 1000) for _ in range(draw.randint(1, longest - 40))]
            body |= {"prompt": prompt, "max_tokens": draw.randint(1, 40), "ignore_eos": True}
        elif kind == 4:
            body |= {"prompt": [draw.randrange(100, 1000) for _ in range(draw.randint(1, 60))], "max_tokens": draw.randint(1, 120), "ignore_eos": True,
                     "temperature": 1}
        else:
            path, schema = "/v1/chat/completions", schema_of(number)
            body |= {"messages": [{"role": "user", "content": f"{number} + {number}"}], "max_tokens": 200,
                     "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": schema}}}
        cases.append(Case(path, body, schema))
    return cases


class Ledger:
    """What people met; safe to use from several threads."""

    def __init__(self):
        self._lock = threading.Lock()
        self.counts = {"same": 0, "differ": 0, "left": 0, "refused": 0, "failed": 0}
        self.findings = []

    def note(self, what, finding=None):
        with self._lock:
            self.counts[what] += 1
            if finding and sum(kind == what for kind, _ in self.findings) < SHOWN:
                self.findings.append((what, finding))


def person(url, cases, ledger, longest, number):
    """Asks for one case after another, in one manner or another."""
    draw, address = random.Random(number), urllib.parse.urlparse(url).netloc

    def answer(case, stream):
        choices = choices_of(Client(url, ANSWER_LIMIT_S).post(case.path, **case.body, stream=stream))
        if choices == case.alone:
            return ledger.note("same")
        return ledger.note("differ", f"{json.dumps(case.body)[:300]}\n  alone  {case.alone}\n  then   {choices}")

    def leave(case):
        connection = http.client.HTTPConnection(address, timeout=ANSWER_LIMIT_S)
        connection.request("POST", case.path, json.dumps({**case.body, "stream": True}), {"Content-Type": "application/json"})
        if draw.random() < 0.7:  # The others leave before anything has come.
            response = connection.getresponse()
            assert response.status == 200, response.read()
            response.read(draw.randint(1, 2000))
        connection.close()
        ledger.note("left")

    def too_long():
        connection = http.client.HTTPConnection(address, timeout=ANSWER_LIMIT_S)
        connection.request("POST", "/v1/completions", json.dumps({**cases[0].body, "prompt": [5] * (longest + 1)}), {"Content-Type": "application/json"})
        response = connection.getresponse()
        text = response.read()
        connection.close()
        assert response.status == 400, text
        ledger.note("refused")

    def ask(_):
        case, manner = draw.choice(cases), draw.random()
        try:
            if manner < 0.15:
                leave(case)
            elif manner < 0.18:
                too_long()
            else:
                answer(case, stream=manner < 0.6)
        except Exception as error:  # Every kind of failure is a finding, and the run goes on.
            ledger.note("failed", f"{json.dumps(case.body)[:300]}: {type(error).__name__}: {error}")
            time.sleep(1)

    return ask


def figures(url):
    """What /metrics tells of the load and of what it holds."""
    found = collections.Counter()
    for line in Client(url).get_text("/metrics").splitlines():
        if not line.startswith("#"):
            series, value = line.rsplit(" ", 1)
            name = series.split("{")[0]
            if name != "regatta_group_kv_blocks" or 'state="used"' in series:
                found[name] += float(value)
    return {"running": found["regatta_num_requests_running"], "waiting": found["regatta_num_requests_waiting"],
            "used blocks": found["regatta_group_kv_blocks"], "tokens": found["regatta_generation_tokens_total"]}


def held(pids):
    """Of each process its name, memory, files and threads; and the memory of all GPUs, where there are any."""
    found = {}
    for pid in pids:
        found[f"{name_of(pid)} {pid}"] = {"MB": resident_mb(pid), "files": open_files(pid), "threads": threads(pid)}
    if shutil.which("nvidia-smi"):
        used = subprocess.run(["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"], capture_output=True, text=True, check=True)
        found["GPUs"] = {"MB": sum(map(float, used.stdout.split()))}
    return found


def settled(options, server, ledger):
    """What still runs without requests; what an idle server holds that has just taken the last layout."""
    busy = wait_idle(server.http_url)
    reform(options, server, options.layouts.split(";")[-1], ledger)
    return busy, held(descendants(server.pid))


def leaks(before, after):
    """What is more than it was, in words."""
    found = [f"{name} is gone" for name in before if name not in after] + [f"{name} is new" for name in after if name not in before]
    for name in before.keys() & after.keys():
        for what, had in before[name].items():
            has, allowed = after[name][what], GROWTH_MB if what == "MB" else 4
            if has > had + allowed:
                found.append(f"{name}: {what} {had:.0f} before, {has:.0f} after (allowed: {allowed} more)")
    return found


def wait_idle(url):
    """What still runs after ten seconds without a request; empty if nothing does."""
    deadline = time.monotonic() + 10
    while True:
        now = figures(url)
        busy = {name: now[name] for name in ("running", "waiting", "used blocks") if now[name]}
        if not busy or time.monotonic() > deadline:
            return busy
        time.sleep(0.1)


def reform(options, server, layout, ledger):
    """Gives the pool another layout."""
    result = subprocess.run([options.bin_dir / "regatta", "cluster", "repartition", "--url", server.grpc_url, *layout.split()],
                            capture_output=True, text=True, timeout=ANSWER_LIMIT_S)
    if result.returncode:
        ledger.note("failed", f"repartition {layout}: {result.stdout}{result.stderr}")


def soak(options, server, cases, longest, ledger):
    """Load and layouts until the time is up, with a line of progress every ten seconds; how often the layout changed."""
    layouts = options.layouts.split(";")
    begin, changes, shown, next_change = time.monotonic(), 0, 0, options.every
    with Crowd(options.people, lambda number: person(server.http_url, cases, ledger, longest, number)):
        while (now := time.monotonic() - begin) < 60 * options.minutes:
            if now >= next_change:
                reform(options, server, layouts[changes % len(layouts)], ledger)
                changes, next_change = changes + 1, now + options.every
            if now >= shown:
                state = figures(server.http_url)
                memory = ", ".join(f"{resident_mb(pid):.0f}" for pid in descendants(server.pid))
                print(f"{now:6.0f} of {60 * options.minutes:.0f} s: {ledger.counts}, {changes} layouts, {state['tokens']:.0f} tokens, "
                      f"{state['running']:.0f} running; MB {memory}", flush=True)
                shown += 10
            time.sleep(0.2)
    return changes


def warm_up(options, server, cases, longest):
    """Answers every case alone, then every layout once, so that what is made once is made."""
    client = Client(server.http_url, ANSWER_LIMIT_S)
    for case in cases:
        case.alone = choices_of(client.post(case.path, **case.body))
        for text, why in case.alone if case.schema else ():
            assert why == "length" or allows(case.schema, json.loads(text)), (case.body, text)
    quiet = Ledger()
    for layout in options.layouts.split(";"):
        reform(options, server, layout, quiet)
        with Crowd(options.people, lambda number: person(server.http_url, cases, quiet, longest, number)):
            time.sleep(2)
    assert not quiet.counts["failed"], quiet.findings


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin-dir", type=pathlib.Path, required=True)
    parser.add_argument("--model", type=pathlib.Path, default=DENSE)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--people", type=int, default=16)
    parser.add_argument("--cases", type=int, default=240, help="different requests")
    parser.add_argument("--layouts", default="--pp 2;--dp 2;--tp 2", help="taken in turn")
    parser.add_argument("--every", type=float, default=20, help="seconds between layouts")
    parser.add_argument("--differ", type=float, default=0, help="share of answers that may not be as they were alone")
    parser.add_argument("flags", nargs="*", help="of regatta serve, after --; default: two CPU ranks, prompts in chunks of 128 tokens")
    options = parser.parse_args()
    flags = options.flags or ["--device", "cpu", "--tp", "2", "--max-batch-size", "32", "--max-num-tokens", "128"]
    ledger = Ledger()
    with Served(options.bin_dir, options.model, flags) as server:
        (model,) = Client(server.http_url).get("/v1/models")["data"]
        cases = make_cases(options.model, model, options.cases, random.Random("cases"))
        warm_up(options, server, cases, model["max_model_len"])
        _, before = settled(options, server, ledger)
        start = figures(server.http_url)["tokens"]
        changes = soak(options, server, cases, model["max_model_len"], ledger)
        busy, after = settled(options, server, ledger)
        found, tokens = leaks(before, after), figures(server.http_url)["tokens"] - start
    for what, finding in ledger.findings:
        print(f"{what}: {finding}")
    for finding in found:
        print(f"leak: {finding}")
    answered = ledger.counts["same"] + ledger.counts["differ"]
    print(f"{options.minutes:g} minutes, {options.people} people, {changes} layouts: {answered} answers, {ledger.counts['differ']} not as alone; "
          f"{ledger.counts['left']} left early, {ledger.counts['refused']} refused as too long, {ledger.counts['failed']} failed; "
          f"{tokens:.0f} tokens; at the end {busy or 'idle'}, {len(found)} leaks")
    assert answered, "nothing was answered: nothing was tested"
    return 1 if ledger.counts["failed"] or ledger.counts["differ"] > options.differ * answered or busy or found else 0


if __name__ == "__main__":
    sys.exit(main())
