#!/usr/bin/env python3
"""One server, one load, three clients in one run: regatta, aiperf and guidellm, figure by figure, and regatta once more to show the drift.
The four take turns for some rounds; figures are medians over these.

What docs/METRICS.md says of the others' definitions is checked on their own records, where no noise enters; their times are only shown.

usage: side_by_side.py --bin-dir build/host/bin --aiperf PATH --guidellm PATH [--requests 80] [--users 4] [--rounds 3]
"""
import argparse
import json
import math
import pathlib
import random
import shutil
import statistics
import string
import subprocess
import sys

from cluster import DENSE, Cluster

OUTPUT_TOKENS = 32


def linear(samples, q):
    """NumPy's default quantile."""
    ordered = sorted(samples)
    position = q * (len(ordered) - 1)
    below = math.floor(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (position - below) * (ordered[above] - ordered[below])


def nearest_rank(samples, q):
    """The smallest sample that a part q of all does not exceed."""
    return sorted(samples)[max(0, math.ceil(q * len(samples)) - 1)]


def write_inputs(folder, requests):
    """The same prompts for each client, none of them twice. The model repeats the letters: every token has text, without which aiperf and
    guidellm do not see one."""
    draw = random.Random(420)
    prompts = ["Repeat after me: " + " ".join(draw.choices(string.ascii_lowercase, k=OUTPUT_TOKENS + 4)) for _ in range(requests)]
    lines = {
        "regatta.jsonl": [{"task_id": i, "prompt": p, "output_tokens": OUTPUT_TOKENS} for i, p in enumerate(prompts)],
        "aiperf.jsonl": [{"text": p} for p in prompts],
        "guidellm.jsonl": [{"prompt": p, "output_tokens_count": OUTPUT_TOKENS} for p in prompts],
    }
    for name, rows in lines.items():
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))


def run(command, **options):
    subprocess.run([str(word) for word in command], check=True, timeout=400, stdin=subprocess.DEVNULL, **options)


def measure_regatta(options, cluster):
    """Our figures under common names; times in ms."""
    out = cluster.folder / "regatta.json"
    run([options.bin_dir / "regatta", "throughput", "--url", cluster.url, "--endpoint", "chat", "--dataset", cluster.folder / "regatta.jsonl",
         "--concurrency", options.users, "--num-requests", options.requests, "--warmup", options.users, "--no-calibrate",
         "--output", cluster.folder / "results", "--report-json", out], stdout=subprocess.DEVNULL)
    point = json.loads(out.read_text())
    request, performance, streaming, ours = (point[k] for k in ("request_info", "performance", "streaming_metrics", "regatta"))
    latency, ttft = performance["request_latency_percentiles_ms"], streaming["ttft_percentiles"]
    return {
        "requests": request["num_requests"], "output tokens of each": request["avg_output_length"],
        "prompt tokens of each": request["avg_input_length"],
        "req/s": performance["request_throughput_req_s"], "output tok/s": performance["system_output_throughput_tok_s"],
        "mean TTFT": ttft["average"], "p50 TTFT": ttft["p50"], "p99 TTFT": ttft["p99"],
        "mean TPOT, (t_n - t_1) / (n - 1)": streaming["avg_tpot_ms"], "mean of (t_n - t_0) / n": ours["ntpot_ms"]["average"],
        "mean gap between chunks": ours["icl_ms"]["average"],
        "mean latency": latency["average"], "p50 latency": latency["p50"], "p99 latency": latency["p99"],
        "tok/s of a user": streaming["token_output_speed_tok_s"], "mean concurrency": request["avg_num_concurrent_requests"],
    }


def measure_aiperf(options, cluster):
    """aiperf's summary under the same names, and its records."""
    out = cluster.folder / "aiperf"
    shutil.rmtree(out, ignore_errors=True)  # of the round before
    run([options.aiperf, "profile", "--model", DENSE.name, "--url", cluster.url, "--endpoint-type", "chat", "--streaming", "--tokenizer", DENSE,
         "--use-server-token-count", "--input-file", cluster.folder / "aiperf.jsonl", "--custom-dataset-type", "single_turn",
         "--concurrency", options.users, "--request-count", options.requests, "--warmup-request-count", options.users,
         "--extra-inputs", "ignore_eos:true", "--extra-inputs", f"min_tokens:{OUTPUT_TOKENS}", "--extra-inputs", f"max_tokens:{OUTPUT_TOKENS}",
         "--artifact-dir", out, "--ui", "none"], stdout=subprocess.DEVNULL)
    report = json.loads((out / "profile_export_aiperf.json").read_text())
    records = [json.loads(line) for line in (out / "profile_export.jsonl").read_text().splitlines()]
    get = lambda tag, statistic="avg": report[tag][statistic]
    figures = {
        "requests": get("request_count"), "output tokens of each": get("output_sequence_length"),
        "prompt tokens of each": get("input_sequence_length"),
        "req/s": get("request_throughput"), "output tok/s": get("output_token_throughput"),
        "mean TTFT": get("time_to_first_token"), "p50 TTFT": get("time_to_first_token", "p50"), "p99 TTFT": get("time_to_first_token", "p99"),
        "mean TPOT, (t_n - t_1) / (n - 1)": get("inter_token_latency"), "mean gap between chunks": get("inter_chunk_latency"),
        "mean latency": get("request_latency"), "p50 latency": get("request_latency", "p50"), "p99 latency": get("request_latency", "p99"),
        "tok/s of a user": get("output_token_throughput_per_user"),
    }
    return figures, [record["metrics"] for record in records if record["metadata"]["benchmark_phase"] != "warmup"]


def measure_guidellm(options, cluster):
    """guidellm's summary under the same names, and its records."""
    out = cluster.folder / "guidellm.json"
    run([options.guidellm, "run", "--backend", f"kind=openai_http,target={cluster.url},model={DENSE.name}",
         "--profile", f"kind=concurrent,streams={options.users}", "--constraint", f"kind=max_requests,count={options.requests}",
         "--tokenizer", f"kind=huggingface_auto,model={DENSE}", "--data", f"kind=json_file,path={cluster.folder / 'guidellm.jsonl'}",
         "--output", f"kind=json,path={out}", "--disable-progress"], stdout=subprocess.DEVNULL)
    (benchmark,) = json.loads(out.read_text())["benchmarks"]
    get = lambda name: benchmark["metrics"][name]["successful"]
    ttft, latency = get("time_to_first_token_ms"), get("request_latency")
    figures = {
        "requests": benchmark["metrics"]["request_totals"]["successful"], "output tokens of each": get("output_token_count")["mean"],
        "prompt tokens of each": get("prompt_token_count")["mean"],
        "req/s": get("requests_per_second")["mean"], "output tok/s": get("output_tokens_per_second")["mean"],
        "mean TTFT": ttft["mean"], "p50 TTFT": ttft["percentiles"]["p50"], "p99 TTFT": ttft["percentiles"]["p99"],
        "mean TPOT, (t_n - t_1) / (n - 1)": get("inter_token_latency_ms")["mean"],
        "mean of (t_n - t_0) / n": get("time_per_output_token_ms")["mean"],
        "mean latency": 1e3 * latency["mean"], "p50 latency": 1e3 * latency["percentiles"]["p50"],
        "p99 latency": 1e3 * latency["percentiles"]["p99"], "mean concurrency": get("request_concurrency")["mean"],
    }
    return figures, benchmark["requests"]["successful"]


def same(name, told, computed):
    assert math.isclose(told, computed, rel_tol=2e-3), f"{name}: told {told}, by docs/METRICS.md it would be {computed}"


def check_aiperf(figures, records):
    """Its definitions, on its own records."""
    ttft = [r["time_to_first_token"]["value"] for r in records]
    latency = [r["request_latency"]["value"] for r in records]
    tokens = [r["output_sequence_length"]["value"] for r in records]
    same("aiperf, p50 TTFT, interpolated", figures["p50 TTFT"], linear(ttft, 0.50))
    same("aiperf, p99 latency, interpolated", figures["p99 latency"], linear(latency, 0.99))
    tpot = [(l - t) / (n - 1) for l, t, n in zip(latency, ttft, tokens)]
    same("aiperf, inter_token_latency", figures["mean TPOT, (t_n - t_1) / (n - 1)"], statistics.mean(tpot))
    # Text in one chunk, and tokens without text after it: no time passed between tokens.
    same("aiperf, speed of a user", figures["tok/s of a user"], statistics.mean(1e3 / x for x in tpot if x > 0))


def check_guidellm(figures, records):
    """Its definitions, on its own records."""
    ttft = [r["time_to_first_token_ms"] for r in records]
    latency = [1e3 * r["request_latency"] for r in records]
    same("guidellm, p50 TTFT, a sample", figures["p50 TTFT"], nearest_rank(ttft, 0.50))
    same("guidellm, p99 latency, a sample", figures["p99 latency"], nearest_rank(latency, 0.99))
    same("guidellm, time_per_output_token_ms", figures["mean of (t_n - t_0) / n"],
         statistics.mean(r["time_per_output_token_ms"] for r in records))
    for record in records:  # the one has the first token in it, the other has not
        tokens, itl = record["output_tokens"], record["inter_token_latency_ms"]
        same("guidellm, TPOT from ITL", tokens * record["time_per_output_token_ms"], record["time_to_first_token_ms"] + (tokens - 1) * itl)


def check_counts(name, figures, options):
    assert figures["requests"] == options.requests, f"{name}: {figures['requests']} requests"
    assert figures["output tokens of each"] == OUTPUT_TOKENS, f"{name}: {figures['output tokens of each']} tokens"


def measure_round(options, cluster):
    """Each client once, checked; their figures by name."""
    columns = {"regatta": measure_regatta(options, cluster)}
    columns["aiperf"], aiperf_records = measure_aiperf(options, cluster)
    columns["guidellm"], guidellm_records = measure_guidellm(options, cluster)
    columns["regatta again"] = measure_regatta(options, cluster)
    for name, figures in columns.items():
        check_counts(name, figures, options)
    check_aiperf(columns["aiperf"], aiperf_records)
    check_guidellm(columns["guidellm"], guidellm_records)
    return columns


def medians(rounds):
    """Figure by figure over the rounds."""
    return {name: {figure: statistics.median(columns[name][figure] for columns in rounds) for figure in figures}
            for name, figures in rounds[0].items()}


def print_table(columns):
    """A row per figure: regatta's value, then each other one with its ratio to that."""
    first = next(iter(columns.values()))
    print(f"{'':34}" + "".join(f"{name:>20}" for name in columns))
    for figure, base in first.items():
        cells = [f"{base:20.2f}"]
        for values in list(columns.values())[1:]:
            value = values.get(figure)
            cells.append(f"{'-':>20}" if value is None else f"{value:12.2f} x{value / base:5.3f} ")
        print(f"{figure:34}" + "".join(cells))


def main():
    parser = argparse.ArgumentParser()
    for name in ("--bin-dir", "--aiperf", "--guidellm"):
        parser.add_argument(name, type=pathlib.Path, required=True)
    parser.add_argument("--requests", type=int, default=80)
    parser.add_argument("--users", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    # Each client sends what the one before it sent: no cache may know it.
    with Cluster(options.bin_dir, arguments=("--no-prefix-cache",)) as cluster:
        write_inputs(cluster.folder, options.requests)
        rounds = [measure_round(options, cluster) for _ in range(options.rounds)]
    print_table(medians(rounds))
    print("regatta, aiperf, guidellm: the same requests and tokens; their figures are what docs/METRICS.md says they are")


if __name__ == "__main__":
    sys.exit(main())
