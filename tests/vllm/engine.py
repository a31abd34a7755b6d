"""A real vLLM with the model that comes with pronk, without a GPU."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import urllib3

from pronk.engines import guard
from pronk.engines.bundled import shipped_model
from pronk.engines.launch import free_ports
from pronk.settings import child_environment

PYTHON = Path(__file__).parents[2] / ".venv-vllm/bin/python"
MODEL = "tiny"
START_SECONDS = 900.0
"""It is half a minute on two quiet cores."""
GRACE_SECONDS = 20.0
STARTED = b"Application startup complete"

_SAMPLE = r"^{}(?:_total)?(?:\{{[^}}]*\}})? ([0-9.e+]+)$"


class Vllm:
    """A server that runs, and what it says of itself."""

    def __init__(self, root: str, log: Path) -> None:
        self.url = f"{root}/v1"
        self._root = root
        self._log = log
        self._looks = 0

    def metrics(self) -> str:
        """Return the text of ``/metrics``."""
        self._looks += 1
        return urllib3.request("GET", f"{self._root}/metrics", timeout=30.0).data.decode()

    def counted(self, name: str) -> int:
        """Return a counter of ``/metrics``, 0 while it is not there."""
        found = re.findall(_SAMPLE.format(re.escape(name)), self.metrics(), re.MULTILINE)
        return round(sum(map(float, found)))

    def forget_pictures(self) -> None:
        """Empty what is kept of pictures, as when room runs out."""
        for cache in ("mm", "encoder", "prefix"):
            answer = urllib3.request("POST", f"{self._root}/reset_{cache}_cache", timeout=30.0)
            assert answer.status == 200, answer.data

    def looks_of_others(self) -> int:
        """Return how often ``/metrics`` was answered to anybody but `metrics`, from the log."""
        return self._log.read_text("utf-8", "replace").count('"GET /metrics HTTP/1.1" 200') - self._looks


@contextmanager
def vllm_server(media_dir: Path, log: Path) -> Iterator[Vllm]:
    """Run vLLM until the block ends; it may read pictures below `media_dir`."""
    port = free_ports(1)[0]
    command = [str(PYTHON), "-m", "vllm.entrypoints.openai.api_server"]
    command += ["--model", str(shipped_model().with_name("safetensors")), "--served-model-name", MODEL]
    command += ["--host", "127.0.0.1", "--port", str(port), "--allowed-local-media-path", str(media_dir)]
    command += ["--dtype", "float32", "--max-model-len", "512", "--enforce-eager"]
    variables = {
        "PYTHONPATH": str(Path(__file__).with_name("site")),
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_SERVER_DEV_MODE": "1",  # for `forget_pictures`
        "VLLM_NO_USAGE_STATS": "1",
        "HF_HUB_OFFLINE": "1",
    }
    guarded = [sys.executable, "-I", "-S", guard.__file__, str(GRACE_SECONDS), *command]
    with (
        log.open("wb") as into,
        subprocess.Popen(
            guarded, env=child_environment(variables), stdin=subprocess.PIPE, stdout=into, stderr=into
        ) as process,
    ):
        assert process.stdin is not None
        with process.stdin:  # the life line: vLLM ends even when this process is killed
            _await_start(process, log)
            yield Vllm(f"http://127.0.0.1:{port}", log)


def _await_start(process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while STARTED not in log.read_bytes():
        assert time.monotonic() < deadline, f"vLLM did not start in {START_SECONDS:.0f} s; its log is {log}"
        with suppress(subprocess.TimeoutExpired):
            status = process.wait(0.5)
            last = "\n".join(log.read_text("utf-8", "replace").splitlines()[-20:])
            pytest.fail(f"vLLM ended with status {status}:\n{last}")
