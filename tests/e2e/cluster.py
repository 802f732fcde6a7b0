"""A real router and its CPU ranks, as child processes that end with their test."""
import pathlib
import shutil
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
DENSE = ROOT / "tests/models/regatta-dense"


def without_chat_template(model, folder):
    """A copy of `model` in `folder` whose tokenizer has no chat template."""
    copy = pathlib.Path(folder) / model.name
    shutil.copytree(model, copy, ignore=shutil.ignore_patterns("chat_template*"))
    config = copy / "tokenizer_config.json"
    lines = config.read_text(encoding="utf-8").splitlines(keepends=True)
    config.write_text("".join(line for line in lines if '"chat_template"' not in line), encoding="utf-8")
    return copy


class Cluster:
    """`with Cluster(bin_dir) as cluster:` serves on cluster.url and, over gRPC, on cluster.grpc_address."""

    def __init__(self, bin_dir, model=DENSE, arguments=(), worker_arguments=(), wait_s=60):
        self._bin = pathlib.Path(bin_dir)
        self._folder = tempfile.TemporaryDirectory(prefix="regatta-e2e-")
        self.folder = pathlib.Path(self._folder.name)  # ours, for more files
        self._processes = []
        self._deadline = time.monotonic() + wait_s
        try:
            worker = self._start("worker", "regatta-worker", "--device", "cpu", "--listen", "127.0.0.1:0", *worker_arguments)
            http = self.folder / "http"
            self.grpc_address = self._start("router", "regatta-router", "--model", str(model), "--workers", worker,
                                            "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--http-address-file", str(http), *arguments)
            self.address = http.read_text().strip()
        except BaseException:
            self.close()
            raise
        self.url = f"http://{self.address}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _start(self, name, program, *arguments):
        """Starts a program; the address that it serves on, once it does."""
        address = self.folder / name
        log = self.folder / f"{name}.log"
        with log.open("wb") as out:
            process = subprocess.Popen([self._bin / program, "--exit-with-parent", "--address-file", address, *arguments],
                                       stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
        self._processes.append(process)
        while not address.exists():
            assert process.poll() is None, f"{program} ended:\n{log.read_text()}"
            assert time.monotonic() < self._deadline, f"{program} does not serve:\n{log.read_text()}"
            time.sleep(0.02)
        return address.read_text().strip()

    def close(self):
        for process in reversed(self._processes):
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._processes = []
        self._folder.cleanup()
