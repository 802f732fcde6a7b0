#!/usr/bin/env python3
"""The curl examples of docs/OPENAI_API.md, as they stand there, on a real router with CPU ranks.

usage: curl_test.py --bin-dir build/host/bin
"""
import argparse
import json
import pathlib
import re
import subprocess
import sys
import unittest

from cluster import ROOT, Cluster

DOCUMENT = ROOT / "docs/OPENAI_API.md"
ADDRESS = "localhost:8000"
options = None


class CurlTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(options.bin_dir)
        cls.answers = [cls.run_example(command) for command in re.findall(r"```sh\n(curl .*?)```", DOCUMENT.read_text(), re.DOTALL)]

    @classmethod
    def tearDownClass(cls):
        cls.cluster.close()

    @classmethod
    def run_example(cls, command):
        assert ADDRESS in command, command
        return subprocess.run(["bash", "-c", command.replace(ADDRESS, cls.cluster.address)], check=True, timeout=60,
                              capture_output=True, text=True).stdout

    def test_all_are_answered(self):
        models, chat, stream, schema, completion, tokens = self.answers
        self.assertEqual(json.loads(models)["data"][0]["id"], "regatta-dense")
        self.assertEqual(json.loads(chat)["choices"][0]["message"]["content"], "116")
        self.assertIn(json.loads(json.loads(schema)["choices"][0]["message"]["content"])["colour"], ("red", "blue"))
        self.assertIn("text", json.loads(completion)["choices"][0])
        self.assertEqual(json.loads(tokens)["count"], len(json.loads(tokens)["tokens"]))
        events = stream.strip().split("\n\n")
        self.assertEqual(events[-1], "data: [DONE]")
        chunks = [json.loads(event.removeprefix("data: ")) for event in events[:-1]]
        self.assertEqual("".join(c["choices"][0]["delta"].get("content") or "" for c in chunks if c["choices"]), "964")
        self.assertEqual(chunks[-1]["usage"]["completion_tokens"], 4)


def main():
    global options
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin-dir", type=pathlib.Path, required=True)
    options, rest = parser.parse_known_args()
    return 0 if unittest.main(argv=[sys.argv[0], *rest], exit=False, verbosity=2).result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
