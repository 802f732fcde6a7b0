"""Run directories with made-up figures, of the shape that `regatta sweep` leaves, for pictures of reports."""
import json
import random


def percentiles(median, spread):
    values = {"minimum": 0.7, "p50": 1, "average": 1.05, "p90": 1 + spread, "p95": 1 + 1.5 * spread, "p99": 1 + 3 * spread,
              "maximum": 1 + 4 * spread}
    return {name: median * factor for name, factor in values.items()}


def point(model, layout, precision, concurrency, ranks, on_gpus):
    """Throughput saturates and speed falls with concurrency; more ranks are faster and less efficient."""
    speed = 40 * ranks ** 0.6 / (1 + concurrency / (24 * ranks)) * (1.5 if precision.startswith("fp8") else 1)
    output = speed * concurrency
    ttft, tpot = 30 + 4 * concurrency / ranks, 1000 / speed
    return {
        "engine": {"model": model, "dtype": "bfloat16", "quantization": "" if precision == "bfloat16" else precision,
                   "backend": "regatta"},
        "machine": {"name": "NVIDIA H100" if on_gpus else "CPU ranks"},
        "world_info": {"tp_size": ranks, "pp_size": 1, "world_size": ranks, "max_batch_size": 256, "max_num_tokens": 8192},
        "request_info": {"num_requests": 10 * concurrency, "avg_num_concurrent_requests": concurrency,
                         "avg_input_length": 128, "avg_output_length": 128},
        "performance": {"request_throughput_req_s": output / 128, "system_output_throughput_tok_s": output,
                        "output_throughput_per_gpu_tok_s": output / ranks, "total_latency_ms": 60000,
                        "request_latency_percentiles_ms": percentiles(ttft + 127 * tpot, 0.2)},
        "streaming_metrics": {"token_output_speed_tok_s": speed, "avg_ttft_ms": ttft, "avg_tpot_ms": tpot,
                              "ttft_percentiles": percentiles(ttft, 0.6), "tpot_percentiles": percentiles(tpot, 0.2)},
        "regatta": {"concurrency": concurrency, "streaming": True, "layout": layout, "performance_figure": on_gpus,
                    "dummy_weights": True, "device_note": "" if on_gpus else "CPU ranks, not a performance figure"},
    }


def requests_of(one, draw):
    concurrency = one["regatta"]["concurrency"]
    streaming = one["streaming_metrics"]
    for index in range(10 * concurrency):
        sent = 1000.0 * (index // concurrency)
        first = sent + draw.gammavariate(4, streaming["avg_ttft_ms"] / 4)
        yield {"run_number": one["regatta"]["run_number"], "index": index, "concurrency": concurrency, "sent_ms": sent, "first_token_ms": first,
               "last_token_ms": first + 127 * draw.gauss(1, 0.1) * streaming["avg_tpot_ms"], "output_tokens": 128,
               "deltas": 128}


def gpus_of(ranks, draw):
    """Busy between a start and a drain, hotter as it lasts."""
    times = range(0, 60500, 500)
    busy = [min(1, ms / 2000, (60500 - ms) / 2000) for ms in times]
    return [{"index": index, "ms": list(times), "power_w": [90 + 500 * x + draw.gauss(0, 8) for x in busy],
             "sm_clock_mhz": [1980 - 225 * x for x in busy], "temperature_c": [40 + 22 * min(1, ms / 30000) + index for ms in times],
             "utilization": [x * draw.uniform(0.95, 1) for x in busy]} for index in range(ranks)]


def timeline_of(one, draw):
    concurrency, throughput = one["regatta"]["concurrency"], one["performance"]["system_output_throughput_tok_s"]
    times = range(0, 60000, 200)
    load = [concurrency * min(1, ms / 2000, (60000 - ms) / 2000) for ms in times]
    running = [int(min(x, 256) * draw.uniform(0.9, 1)) for x in load]
    tokens = [throughput * ms / 1e3 + draw.uniform(0, throughput / 50) for ms in times]
    gap = one["streaming_metrics"]["avg_tpot_ms"]
    return {"run_number": one["regatta"]["run_number"], "client_ms": list(times),
            "in_flight": [int(x) for x in load], "client_tokens": tokens, "router_ms": list(times), "running": running,
            "waiting": [int(x) - r for x, r in zip(load, running)], "kv_usage": [r / (2 * concurrency) for r in running],
            "router_tokens": tokens, "gpus": gpus_of(one["world_info"]["world_size"], draw) if one["machine"]["name"] != "CPU ranks" else [],
            "itl_quantiles_ms": sorted(draw.gammavariate(20, gap / 20) for _ in range(101))}


def make(folder, kinds, concurrencies, model="llama-3.1-8b", on_gpus=True, details=True):
    """A finished run in the new `folder`: every kind (layout, precision, ranks) at every concurrency."""
    draw = random.Random(7)
    points = [point(model, layout, precision, c, ranks, on_gpus) for layout, precision, ranks in kinds for c in concurrencies]
    for number, one in enumerate(points, 1):
        one["regatta"]["run_number"] = number
    folder.mkdir(parents=True)
    sweep = {"schema": "regatta-sweep-1", "command": f"regatta sweep --model '{model}'", "created_utc": "2026-11-25T12:00:00Z",
             "version": "0.1.0", "commit": "0123456789ab", "dataset_path": f"/data/{model}.jsonl", "points": points,
             "environment": {"cpu": "a CPU", "cpus": 16, "kernel": "Linux"}, "completed": True}
    (folder / "results.json").write_text(json.dumps(sweep), encoding="utf-8")
    if details:
        with (folder / "requests.jsonl").open("w", encoding="utf-8") as lines:
            for one in points:
                lines.writelines(json.dumps(record) + "\n" for record in requests_of(one, draw))
        with (folder / "timeline.jsonl").open("w", encoding="utf-8") as lines:
            lines.writelines(json.dumps(timeline_of(one, draw)) + "\n" for one in points)
    return folder


def add_waits(folder, warning):
    """Makes the points of the run in `folder` ones of a rate, whose requests waited 500 ms in the client; the last one has `warning`."""
    path = folder / "results.json"
    sweep = json.loads(path.read_text(encoding="utf-8"))
    for one in sweep["points"]:
        one["regatta"].update(
            load={"arrival": "poisson", "request_rate": 20 * one["regatta"]["concurrency"]}, client={"bound": one is sweep["points"][-1]},
            ttft_scheduled_ms={name: 500 + ms for name, ms in one["streaming_metrics"]["ttft_percentiles"].items()},
            latency_scheduled_ms={name: 500 + ms for name, ms in one["performance"]["request_latency_percentiles_ms"].items()})
    sweep["points"][-1]["regatta"]["warnings"] = [warning]
    path.write_text(json.dumps(sweep), encoding="utf-8")


def add_partition(folder, reason):
    """Makes the run of tp2 and tp4 in `folder` an experiment over layouts; `reason` is why another was not tried."""
    path = folder / "results.json"
    sweep = json.loads(path.read_text(encoding="utf-8"))
    layouts = ("tp2", "tp4")

    def row(speed, figures, winner):
        cells = [{"layout": layout, "precision": "bfloat16", "kind": kind, "output_throughput_per_gpu_tok_s": value, "users": users}
                 for layout, (kind, value, users) in zip(layouts, figures)]
        return {"speed_tok_s": speed, "cells": cells, "winner_layout": winner, "winner_precision": "bfloat16"}

    sweep["partition"] = {
        "ranks": 4, "prior_device": "H100", "margin": 0.1,
        "candidates": [{"layout": layout, "fate": "swept"} for layout in layouts] + [{"layout": "tp8", "fate": "impossible", "reason": reason}],
        "speeds": [row(20, [("at least", 812.5, 40), ("measured", 500, 30)], "tp2"),
                   row(50, [("not reached", 0, 0), ("measured", 410, 12)], "tp4")],
        "winners": [{"from_tok_s": 0, "to_tok_s": 44.5, "layout": "tp2", "precision": "bfloat16"},
                    {"from_tok_s": 44.5, "to_tok_s": 90, "layout": "tp4", "precision": "bfloat16"}]}
    path.write_text(json.dumps(sweep), encoding="utf-8")
