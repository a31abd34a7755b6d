"""A bundled engine in a process of its own, pictures and questions for it."""

import base64
import io
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import httpx2 as httpx
import pytest
from openai import AsyncOpenAI, OpenAI
from PIL import Image, ImageDraw

from pronk.engines.bundled import shipped_model
from pronk.engines.bundled.process import open_child
from pronk.engines.bundled.protocol import Open, Progress, Sampling, Submit

MODEL = "tiny"
PATIENCE_SECONDS = 60
SMALL_BLOCKS = 24
FOLDER = shipped_model()


@dataclass
class Running:
    """A started engine; `process` is its server, which has the generating process as its child."""

    process: subprocess.Popen[str]
    url: str
    ready: str

    @property
    def client(self) -> OpenAI:
        return OpenAI(base_url=self.url, api_key="none", max_retries=0, timeout=PATIENCE_SECONDS)

    @property
    def patient(self) -> AsyncOpenAI:
        return AsyncOpenAI(base_url=self.url, api_key="none", max_retries=0, timeout=PATIENCE_SECONDS)

    def metric(self, name: str) -> float:
        text = httpx.get(self.url.replace("/v1", "/metrics")).text
        return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(name))

    def children(self) -> list[int]:
        tasks = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        return sorted(int(pid) for task in tasks for pid in task.read_text().split())

    def until(self, condition: Callable[[], bool]) -> None:
        """Ask again and again; the engine's own answers are the clock."""
        for _ in range(5000):
            if condition():
                return
        pytest.fail("this never came true")


@contextmanager
def engine(*flags: str) -> Iterator[Running]:
    command = [sys.executable, "-m", "pronk.engines.bundled", "--port", "0", "--served-model-name", MODEL]
    command += ["--model", str(FOLDER), *flags]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            ready = process.stdout.readline()
            yield Running(process, ready.split()[1] if ready else "", ready)
        finally:
            process.terminate()
            process.wait(PATIENCE_SECONDS)


def drawing(color: str = "red", size: tuple[int, int] = (120, 100)) -> Image.Image:
    image = Image.new("RGB", size, "white")
    ImageDraw.Draw(image).ellipse((30, 20, 80, 70), fill=color)
    return image


def data_url(image: Image.Image, form: str = "PNG", **options: object) -> str:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return raw_url(buffer.getvalue())


def raw_url(data: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(data).decode()}"


def user(text: str, *urls: str) -> dict[str, Any]:
    pictures = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    return {"role": "user", "content": [*pictures, {"type": "text", "text": text}]}


def question(color: str = "red", **members: Any) -> dict[str, Any]:
    turn = user("What color is the circle?", data_url(drawing(color)))
    return {"model": MODEL, "messages": [turn], "max_tokens": 12, "temperature": 0, **members}


def schema_format(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}


LONG: dict[str, Any] = {"max_tokens": 650, "extra_body": {"ignore_eos": True}}


def health(running: Running) -> str:
    return str(httpx.get(running.url.replace("/v1", "/health")).json()["status"])


@pytest.mark.anyio
async def test_a_step_that_fails_costs_only_the_request_at_fault() -> None:
    """A schema that nobody tried before, put next to others on the wire of the generating process itself."""
    opening = Open(str(FOLDER), True, 64, 8, 256, False, "f32")
    prompt = "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"
    ends: dict[int, str] = {}
    restarted: set[int] = set()
    async with open_child(opening) as child, anyio.create_task_group() as tasks:
        tasks.start_soon(child.write)
        for number in range(6):
            sampling = Sampling(temperature=0.0, schema='{"type": 7}' if number == 3 else None)
            child.post(Submit(number, prompt, (), sampling, 0, 5 + number, incremental=True))
        async for message in child.receive():
            for delta in message.deltas if isinstance(message, Progress) else []:
                restarted |= {delta.id} if delta.restarted else set()
                ends |= {delta.id: delta.finish} if delta.finish else {}
            if len(ends) == 6:
                break
        tasks.cancel_scope.cancel()
    assert restarted
    assert ends.pop(3) == "error"
    assert set(ends.values()) <= {"stop", "length"}
