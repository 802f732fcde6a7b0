"""A model behind `regatta serve`, as people start it."""
import pathlib
import re
import subprocess
import tempfile
import time


class Served:
    """`with Served(bin_dir, model, flags) as server:` serves on server.http_url and server.grpc_url until the block ends."""

    def __init__(self, bin_dir, model, flags=(), wait_s=600):
        self._log = tempfile.NamedTemporaryFile(prefix="regatta-serve-", suffix=".log")
        self._process = subprocess.Popen([pathlib.Path(bin_dir) / "regatta", "serve", model, "--port", "0", "--drain-timeout", "5", *flags],
                                         stdin=subprocess.DEVNULL, stdout=self._log, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + wait_s
        try:
            while "Ctrl-C drains" not in self.log():
                assert self._process.poll() is None, f"regatta serve ended:\n{self.log()}"
                assert time.monotonic() < deadline, f"regatta serve is not ready after {wait_s} s:\n{self.log()}"
                time.sleep(0.1)
        except BaseException:
            self.close()
            raise
        self.http_url = re.search(r"^Serving .* on (https?://\S+)", self.log(), re.MULTILINE).group(1)
        self.grpc_url = re.search(r"grpc://[\w.:\[\]]+", self.log()).group(0)

    @property
    def pid(self):
        return self._process.pid

    def log(self):
        return pathlib.Path(self._log.name).read_text(encoding="utf-8", errors="replace")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._process.terminate()
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()
