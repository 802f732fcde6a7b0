#!/usr/bin/env python3
"""Load generators of others, unmodified, on a real router with CPU ranks and the bundled chat model: what they count is what was asked.

usage: load_generators.py --bin-dir build/host/bin --aiperf PATH
"""
import argparse
import json
import pathlib
import subprocess
import sys

from cluster import DENSE, Cluster

REQUESTS, OUTPUT_TOKENS = 24, 16


def try_aiperf(program, cluster):
    """Streamed chats of a fixed length, four at a time."""
    out = cluster.folder / "aiperf"
    subprocess.run([program, "profile", "--model", DENSE.name, "--url", cluster.url, "--endpoint-type", "chat", "--streaming",
                    "--tokenizer", DENSE, "--use-server-token-count", "--concurrency", "4", "--request-count", str(REQUESTS),
                    "--synthetic-input-tokens-mean", "60", "--output-tokens-mean", str(OUTPUT_TOKENS),
                    "--extra-inputs", "ignore_eos:true", "--artifact-dir", out, "--ui", "none"],
                   check=True, timeout=300, stdin=subprocess.DEVNULL)
    report = json.loads((out / "profile_export_aiperf.json").read_text())
    assert report["request_count"]["avg"] == REQUESTS, report["request_count"]
    assert not report.get("error_request_count") and not report["error_summary"], report["error_summary"]
    length = report["output_sequence_length"]
    assert length["min"] == length["max"] == OUTPUT_TOKENS, length
    assert report["time_to_first_token"]["min"] > 0, report["time_to_first_token"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin-dir", type=pathlib.Path, required=True)
    parser.add_argument("--aiperf", type=pathlib.Path, required=True)
    options = parser.parse_args()
    with Cluster(options.bin_dir) as cluster:
        try_aiperf(options.aiperf, cluster)
    print("aiperf: all requests were answered, at the length that was asked for")


if __name__ == "__main__":
    sys.exit(main())
