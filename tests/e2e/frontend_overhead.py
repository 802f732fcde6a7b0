#!/usr/bin/env python3
"""The same sweep over gRPC and over HTTP on one running server, and what the HTTP front end costs beside gRPC.

usage: frontend_overhead.py --bin-dir build/host/bin [--concurrency 1,8,64] [--rounds 3]

Rounds alternate between the two, so that drift of the machine meets both. Prints a row for each concurrency, medians over the rounds; the
last column is how much longer the mean request takes over HTTP than over gRPC.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys

from cluster import DENSE, Cluster


def sweep(regatta, url, concurrency, folder):
    """concurrency -> the point's report. Every sweep has prompts of its own: over HTTP nothing keeps them out of the prefix cache."""
    number = len(list(folder.glob("results-*")))
    out = folder / f"results-{number}"
    run = subprocess.run([regatta, "sweep", "--url", url, "--model", DENSE, "--concurrency", concurrency, "--output", out,
                          "--target-input-len", "64", "--target-output-len", "64", "--random-seed", str(number + 1)],
                         timeout=1200, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    (results,) = out.glob("*/results.json")
    return {point["regatta"]["concurrency"]: point for point in json.loads(results.read_text())["points"]}


def figures(points):
    """Medians over rounds: output tokens/s; TTFT, TPOT and latency of a request in ms."""
    return [statistics.median(values) for values in zip(*(
        (point["performance"]["system_output_throughput_tok_s"], point["streaming_metrics"]["avg_ttft_ms"],
         point["streaming_metrics"]["avg_tpot_ms"], point["performance"]["avg_request_latency_ms"]) for point in points))]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin-dir", type=pathlib.Path, required=True)
    parser.add_argument("--concurrency", default="1,8,64")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    regatta = options.bin_dir / "regatta"
    with Cluster(options.bin_dir) as cluster:
        urls = {"grpc": f"grpc://{cluster.grpc_address}", "http": cluster.url}
        rounds = {name: [] for name in urls}
        for i in range(options.rounds):
            for name in sorted(urls, reverse=i % 2 == 1):
                print(f"round {i + 1} of {options.rounds} over {name} ...", file=sys.stderr)
                rounds[name].append(sweep(regatta, urls[name], options.concurrency, cluster.folder))
    print(f"{'':12}{'output tok/s':>20}{'TTFT ms':>20}{'TPOT ms':>20}{'latency ms':>20}{'overhead':>10}")
    print(f"{'concurrency':12}" + f"{'gRPC':>10}{'HTTP':>10}" * 4 + f"{'of HTTP':>10}")
    for concurrency in rounds["grpc"][0]:
        grpc, http = (figures([points[concurrency] for points in rounds[name]]) for name in ("grpc", "http"))
        columns = "".join(f"{a:10.2f}{b:10.2f}" for a, b in zip(grpc, http))
        print(f"{concurrency:<12}{columns}{100 * (http[3] / grpc[3] - 1):9.1f}%")


if __name__ == "__main__":
    sys.exit(main())
