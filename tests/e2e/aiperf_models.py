#!/usr/bin/env python3
"""Whether aiperf's own models accept what `regatta export --format aiperf` wrote.

Run with the Python of an environment that has aiperf 0.13: aiperf_models.py EXPORT/aiperf-c8 ...
"""
import pathlib
import sys

from aiperf.common.models.export_models import JsonExportData
from aiperf.common.models.record_models import MetricRecordInfo


def check(folder):
    """Raises what pydantic finds; the number of records."""
    summary = JsonExportData.model_validate_json((folder / "profile_export_aiperf.json").read_text(encoding="utf-8"))
    assert summary.request_latency.avg > 0 and summary.request_count.avg > 0, folder
    path = folder / "profile_export.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    done = sum(MetricRecordInfo.model_validate_json(line).error is None for line in lines)
    assert not lines or done == summary.request_count.avg, f"{folder}: {done} records, {summary.request_count.avg} requests"
    return len(lines)


if __name__ == "__main__":
    assert sys.argv[1:], __doc__
    for name in sys.argv[1:]:
        print(f"{name}: valid, {check(pathlib.Path(name))} records")
