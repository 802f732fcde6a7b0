#!/usr/bin/env python3
"""Certificates on every gRPC hop: a cluster and a client of one test authority work together; strangers and plain text are turned away
at both doors, the worker's and the router's.

usage: tls_test.py --bin-dir build/host/bin
"""
import argparse
import pathlib
import subprocess
import sys
import tempfile
import unittest

from cluster import DENSE, Cluster

options = None


def certificate(folder, name):
    return ["--tls-cert", folder / f"{name}.crt", "--tls-key", folder / f"{name}.key", "--tls-ca", folder / "ca.crt"]


class TlsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="regatta-tls-")
        cls.ours, cls.theirs = (pathlib.Path(cls.folder.name) / name for name in ("ours", "theirs"))
        for authority in (cls.ours, cls.theirs):
            cls.regatta("certs", "init", authority, check=True)
        cls.cluster = Cluster(options.bin_dir, arguments=certificate(cls.ours, "router"), worker_arguments=certificate(cls.ours, "worker"))

    @classmethod
    def tearDownClass(cls):
        cls.cluster.close()
        cls.folder.cleanup()

    @classmethod
    def regatta(cls, *arguments, **how):
        return subprocess.run([pathlib.Path(options.bin_dir) / "regatta", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=120, **how)

    def health(self, *arguments):
        return self.regatta("cluster", "health", "--url", f"grpc://{self.cluster.grpc_address}", *arguments)

    def router_with(self, *arguments):
        """A second router that wants the cluster's worker."""
        worker = (self.cluster.folder / "worker").read_text().strip()
        return subprocess.run([pathlib.Path(options.bin_dir) / "regatta-router", "--model", DENSE, "--workers", worker, "--listen", "127.0.0.1:0",
                               "--start-timeout", "3", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)

    def test_members_measure(self):
        run = self.regatta("throughput", "--url", f"grpc://{self.cluster.grpc_address}", "--model", DENSE, "--concurrency", "2", "--num-requests",
                           "32", "--output", self.folder.name, *certificate(self.ours, "client"))
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertIn("PERFORMANCE OVERVIEW", run.stdout)

    def test_the_router_turns_strangers_away(self):
        self.assertEqual(self.health(*certificate(self.ours, "client")).returncode, 0)
        for arguments in ([], certificate(self.theirs, "client"), ["--tls-ca", self.ours / "ca.crt"]):
            answer = self.health(*arguments)
            self.assertNotEqual(answer.returncode, 0, answer.stdout)
            self.assertIn(self.cluster.grpc_address, answer.stderr)

    def test_the_worker_turns_strangers_away(self):
        for arguments in ([], certificate(self.theirs, "router")):
            answer = self.router_with(*arguments)
            self.assertNotEqual(answer.returncode, 0, answer.stdout)
            self.assertIn("Describe failed", answer.stderr)

    def test_plain_text_stays_on_this_machine(self):
        for program in ("regatta-worker", "regatta-router"):
            flags = ["--listen", "0.0.0.0:0"] + (["--model", DENSE, "--workers", "127.0.0.1:1"] if program == "regatta-router" else [])
            answer = subprocess.run([pathlib.Path(options.bin_dir) / program, *flags], capture_output=True, text=True, timeout=60)
            self.assertNotEqual(answer.returncode, 0)
            self.assertIn("--insecure", answer.stderr)


def main():
    global options
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin-dir", type=pathlib.Path, required=True)
    options, rest = parser.parse_known_args()
    return 0 if unittest.main(argv=[sys.argv[0], *rest], exit=False, verbosity=2).result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
