#!/usr/bin/env python3
"""Load generators of others, unmodified, on a real router with CPU ranks and the bundled chat model: what they count is what was asked.

usage: load_generators.py --bin-dir build/host/bin --aiperf PATH --guidellm PATH
"""
import argparse
import json
import pathlib
import subprocess
import sys

from cluster import DENSE, Cluster
from side_by_side import write_inputs

REQUESTS, OUTPUT_TOKENS = 24, 16


def try_aiperf(program, cluster):
    """Streamed chats of a fixed length, four at a time. Answers without any text are errors to aiperf, and on random prompts the small
    model has some: it is asked what it can repeat."""
    out = cluster.folder / "aiperf"
    write_inputs(cluster.folder, REQUESTS)
    subprocess.run([program, "profile", "--model", DENSE.name, "--url", cluster.url, "--endpoint-type", "chat", "--streaming",
                    "--tokenizer", DENSE, "--use-server-token-count", "--concurrency", "4", "--request-count", str(REQUESTS),
                    "--input-file", cluster.folder / "aiperf.jsonl", "--custom-dataset-type", "single_turn",
                    "--extra-inputs", "ignore_eos:true", "--extra-inputs", f"min_tokens:{OUTPUT_TOKENS}",
                    "--extra-inputs", f"max_tokens:{OUTPUT_TOKENS}", "--artifact-dir", out, "--ui", "none"],
                   check=True, timeout=300, stdin=subprocess.DEVNULL)
    report = json.loads((out / "profile_export_aiperf.json").read_text())
    assert report["request_count"]["avg"] == REQUESTS, report["request_count"]
    assert not report.get("error_request_count") and not report["error_summary"], report["error_summary"]
    length = report["output_sequence_length"]
    assert length["min"] == length["max"] == OUTPUT_TOKENS, length
    assert report["time_to_first_token"]["min"] > 0, report["time_to_first_token"]


def try_guidellm(program, cluster):
    """Streamed chats of a fixed length, four users."""
    out = cluster.folder / "guidellm.json"
    subprocess.run([program, "run", "--backend", f"kind=openai_http,target={cluster.url},model={DENSE.name}",
                    "--profile", "kind=concurrent,streams=4", "--constraint", f"kind=max_requests,count={REQUESTS}",
                    "--tokenizer", f"kind=huggingface_auto,model={DENSE}",
                    "--data", f"kind=synthetic_text,prompt_tokens=60,output_tokens={OUTPUT_TOKENS}",
                    "--output", f"kind=json,path={out}", "--disable-progress"],
                   check=True, timeout=300, stdin=subprocess.DEVNULL)
    (benchmark,) = json.loads(out.read_text())["benchmarks"]
    metrics = benchmark["metrics"]
    assert metrics["request_totals"] == {"successful": REQUESTS, "errored": 0, "incomplete": 0, "total": REQUESTS}, metrics["request_totals"]
    length = metrics["output_token_count"]["successful"]
    assert length["min"] == length["max"] == OUTPUT_TOKENS, length
    assert metrics["time_to_first_token_ms"]["successful"]["min"] > 0, metrics["time_to_first_token_ms"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin-dir", type=pathlib.Path, required=True)
    parser.add_argument("--aiperf", type=pathlib.Path, required=True)
    parser.add_argument("--guidellm", type=pathlib.Path, required=True)
    options = parser.parse_args()
    with Cluster(options.bin_dir) as cluster:
        try_aiperf(options.aiperf, cluster)
        try_guidellm(options.guidellm, cluster)
    print("aiperf, guidellm: all requests were answered, at the length that was asked for")


if __name__ == "__main__":
    sys.exit(main())
