#!/usr/bin/env python3
"""The same sweep over gRPC and over HTTP on one `regatta serve`, and what the HTTP front end costs beside gRPC.

usage: frontend_overhead.py --bin-dir build/host/bin [--concurrency 1,8,64] [--rounds 3] [--model DIR] [-- FLAG OF regatta serve ...]

Rounds alternate between the two, so that drift of the machine meets both. Prints a row for each concurrency, medians over the rounds; the
last column is how much longer the mean request takes over HTTP than over gRPC.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

from cluster import DENSE
from served import Served


def sweep(options, url, folder):
    """concurrency -> the point's report. Every sweep has prompts of its own: over HTTP nothing keeps them out of the prefix cache."""
    number = len(list(folder.glob("results-*")))
    out = folder / f"results-{number}"
    run = subprocess.run([options.bin_dir / "regatta", "sweep", "--url", url, "--model", options.model, "--concurrency", options.concurrency,
                          "--output", out, "--target-input-len", str(options.input_len), "--target-output-len", str(options.output_len),
                          "--max-time-per-point", str(options.seconds), "--random-seed", str(number + 1)],
                         timeout=1200, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    (results,) = out.glob("*/results.json")
    return {point["regatta"]["concurrency"]: point for point in json.loads(results.read_text())["points"]}


def figures(points):
    """Medians over rounds: output tokens/s; TTFT, TPOT and latency of a request in ms."""
    return [statistics.median(values) for values in zip(*(
        (point["performance"]["system_output_throughput_tok_s"], point["streaming_metrics"]["avg_ttft_ms"],
         point["streaming_metrics"]["avg_tpot_ms"], point["performance"]["avg_request_latency_ms"]) for point in points))]


def measure(options, server, folder):
    """name of the front end -> one sweep's points for each round."""
    urls = {"grpc": server.grpc_url, "http": server.http_url}
    rounds = {name: [] for name in urls}
    for i in range(options.rounds):
        for name in sorted(urls, reverse=i % 2 == 1):
            print(f"round {i + 1} of {options.rounds} over {name} ...", file=sys.stderr)
            rounds[name].append(sweep(options, urls[name], folder))
    return rounds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin-dir", type=pathlib.Path, required=True)
    parser.add_argument("--concurrency", default="1,8,64")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", type=pathlib.Path, default=DENSE)
    parser.add_argument("--input-len", type=int, default=64)
    parser.add_argument("--output-len", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=30, help="of one point, at most")
    parser.add_argument("flags", nargs="*", help="of regatta serve, after --")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="regatta-overhead-") as folder, Served(options.bin_dir, options.model, options.flags) as server:
        rounds = measure(options, server, pathlib.Path(folder))
    print(f"{'':12}{'output tok/s':>20}{'TTFT ms':>20}{'TPOT ms':>20}{'latency ms':>20}{'overhead':>10}")
    print(f"{'concurrency':12}" + f"{'gRPC':>10}{'HTTP':>10}" * 4 + f"{'of HTTP':>10}")
    for concurrency in rounds["grpc"][0]:
        grpc, http = (figures([points[concurrency] for points in rounds[name]]) for name in ("grpc", "http"))
        columns = "".join(f"{a:10.2f}{b:10.2f}" for a, b in zip(grpc, http))
        print(f"{concurrency:<12}{columns}{100 * (http[3] / grpc[3] - 1):9.1f}%")


if __name__ == "__main__":
    sys.exit(main())
