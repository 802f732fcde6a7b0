#!/usr/bin/env python3
"""House rules that a machine can check: who may include whom, file and function length, words that must not appear.

Run by ctest as `tidy`; prints one line per finding and fails when there is any.
"""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
SOURCE = {".cc", ".h", ".cu", ".cuh"}
MAX_LINES = 500
MAX_TEST_LINES = 700
MAX_FUNCTION_LINES = 70

# Folder -> folders of ours that it may include.
MAY_INCLUDE = {
    "common": {"common", "proto"},
    "kernels": {"kernels"},
    "worker": {"worker", "kernels", "proto", "common"},
    "router": {"router", "proto", "common"},
    "orchestrator": {"orchestrator", "proto", "common"},
}
KERNELS_EXTRA = {"common/check.h"}
# Files of a pure core, and headers whose presence would mean that they are not.
PURE = re.compile(r"^router/scheduler/")
IMPURE_HEADERS = re.compile(r"#include <(chrono|random|thread|mutex|fstream|iostream|grpcpp.*)>")
CUDA_HEADERS = re.compile(r'#include [<"](cuda|cublas|nccl|nvml)')
CUDA_PLACES = re.compile(r"^(kernels/cuda/|kernels/device|worker/(cuda_device|collectives/(nccl|peer))|tests/gpu/|tests/kernels/|tests/bench/step/kernel_trace)")
BANNED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b|not implemented yet")

# What begins the definition of a constant or a type at namespace scope. (Functions of one name overload.)
UNNAMED = re.compile(r"(?:constexpr|const|inline)\s[\w:<>,\s*&]*?\b(k[A-Z]\w*)\b|(?:struct|class|enum class|enum|using)\s+([A-Z]\w*)")
NEVER_IN_BATCHES = {"kernels", "orchestrator_formats"}  # see cmake/regatta.cmake


def tracked_files():
    out = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [line for line in out.splitlines() if pathlib.Path(line).suffix in SOURCE]


def include_findings(name, text):
    folder = name.split("/")[0]
    for included in re.findall(r'#include "([^"]+)"', text):
        target = included.split("/")[0]
        if folder in MAY_INCLUDE and target in MAY_INCLUDE.keys() | {"proto", "tests"}:
            if target not in MAY_INCLUDE[folder] and not (folder == "kernels" and included in KERNELS_EXTRA):
                yield f"{name}: {folder}/ may not include {included}"
    if PURE.match(name) and IMPURE_HEADERS.search(text):
        yield f"{name}: the scheduling core is pure, yet includes {IMPURE_HEADERS.search(text).group(1)}"
    if CUDA_HEADERS.search(text) and not CUDA_PLACES.match(name):
        yield f"{name}: CUDA headers are confined to kernels/cuda and the worker's device, NCCL and peer-memory files"


def length_findings(name, lines):
    limit = MAX_TEST_LINES if name.startswith("tests/") else MAX_LINES
    if len(lines) > limit:
        yield f"{name}: {len(lines)} lines, at most {limit}: more than one idea?"
    start = None
    for number, line in enumerate(lines, 1):
        if re.match(r"^[A-Za-z].*[({]\s*$|^[A-Za-z].*\)\s*(const\s*)?\{$", line) and not re.match(
                r"^(namespace|class|struct|enum|union|extern|template|using|constexpr|const|static const)", line):
            start = number
        if line == "}" and start:
            if number - start > MAX_FUNCTION_LINES:
                yield f"{name}:{start}: a function of {number - start} lines, at most {MAX_FUNCTION_LINES}"
            start = None


def unnamed_names(text):
    """Constants and types that a file keeps to itself."""
    for body in re.findall(r"\nnamespace \{\n(.*?)\n\}  // namespace\n", text, re.S):
        for line in body.split("\n"):
            if match := UNNAMED.match(line):
                yield next(name for name in match.groups() if name)


def batch_findings():
    """Files of a library may be compiled together (REGATTA_UNITY), in any company."""
    for listing in sorted(ROOT.glob("[!t]*/CMakeLists.txt")) + sorted(ROOT.glob("[!t]*/*/CMakeLists.txt")):
        text = re.sub(r"#.*", "", listing.read_text(encoding="utf-8"))
        for library, sources in re.findall(r"regatta_library\(\s*(\w+)\s+SRCS\s(.*?)(?:\sDEPS\b|\))", text, re.S):
            owners = {}
            for source in sources.split():
                path = listing.parent / source
                for name in set(unnamed_names(path.read_text(encoding="utf-8"))) if path.suffix == ".cc" and path.exists() else ():
                    owners.setdefault(name, []).append(path.relative_to(ROOT).as_posix())
            for name, files in owners.items():
                if len(files) > 1 and library not in NEVER_IN_BATCHES:
                    yield f"{library}: {name} is in the unnamed namespaces of {', '.join(files)}"


def marker_findings():
    """Of any file: what an unfinished merge leaves behind."""
    out = subprocess.run(["git", "grep", "-nE", "^(<{7}|>{7}) "], cwd=ROOT, capture_output=True, text=True).stdout
    return [f"{line}: a merge was not finished" for line in out.splitlines()]


def main():
    findings = list(batch_findings()) + marker_findings()
    for name in tracked_files():
        path = ROOT / name
        if not path.exists():
            continue
        text = path.read_text(encoding="utf-8")
        lines = text.splitlines()
        findings += include_findings(name, text)
        findings += length_findings(name, lines)
        findings += [f"{name}:{i}: {m.group(0)}" for i, line in enumerate(lines, 1) if (m := BANNED.search(line))]
        if not text.startswith("//"):
            findings.append(f"{name}: no header comment")
    for finding in findings:
        print(finding)
    print(f"{len(findings)} findings in {len(tracked_files())} files")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
