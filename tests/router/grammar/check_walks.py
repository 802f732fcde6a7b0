#!/usr/bin/env python3
"""Checks random constrained outputs, and the expectations of schemas.json, with the jsonschema package.

usage: check_walks.py PRINT_WALKS_BINARY SCHEMAS_JSON
Exits with 77 (skipped) where jsonschema is not installed.
"""
import json
import subprocess
import sys

try:
    from jsonschema import Draft202012Validator
except ImportError:
    print("skipped: the Python package jsonschema is not installed")
    sys.exit(77)


def no_constant(text):
    raise ValueError(f"{text} is no JSON")


def main():
    binary, path = sys.argv[1:]
    with open(path, encoding="utf-8") as file:
        cases = json.load(file)
    validators = [Draft202012Validator(case["schema"], format_checker=Draft202012Validator.FORMAT_CHECKER) for case in cases]
    failures = 0
    for case, validator in zip(cases, validators):
        for value in case["valid"] + case["invalid"]:
            if validator.is_valid(value) != (value in case["valid"]):
                failures += 1
                print(f"{case['name']}: schemas.json is wrong about {value}")
    walks = subprocess.run([binary, "60"], check=True, capture_output=True).stdout.decode("utf-8").splitlines()
    for line in walks:
        index, text = json.loads(line)
        value = json.loads(text, parse_constant=no_constant)
        for error in validators[index].iter_errors(value):
            failures += 1
            print(f"{cases[index]['name']}: {error.message} in {text}")
    print(f"{len(walks)} outputs of {len(cases)} schemas, {failures} failures")
    return 1 if failures or not walks else 0


if __name__ == "__main__":
    sys.exit(main())
