"""``pronk demo``: the whole way once, on real parts, with answers that can be checked."""

from __future__ import annotations

import shutil
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from random import Random
from typing import Annotated, Any, Final

from cyclopts import Parameter

from pronk.cli.batches import counts, follow
from pronk.cli.client import Client
from pronk.cli.files import fetch
from pronk.cli.flags import new_app
from pronk.cli.progress import BatchProgress, transfer
from pronk.demo.buckets import BUCKETS, fill_buckets
from pronk.demo.processes import interrupt_on_every_end
from pronk.demo.report import Outcome, read_outcome
from pronk.demo.stack import pronk_server, s3_server
from pronk.demo.tasks import BROKEN, Task, make_tasks
from pronk.domain.errors import ApiError, SettingsError, UnavailableError
from pronk.engines.bundled import SHIPPED_NAME
from pronk.settings import ClientSettings

app = new_app("demo", "pronk demo\npronk demo --keep")
SEED: Final = 20_26
READY_SECONDS: Final = 60.0
MARKER: Final = ".pronk-demo"


@app.default
def demo(
    *,
    keep: Annotated[bool, Parameter(help="Leave the servers running until Ctrl-C.", negative="")] = False,
    folder: Annotated[Path, Parameter(help="Where pictures, requests and results go.")] = Path("demo-data"),
) -> int:
    """Ask a small model some 240 questions about drawn pictures that lie in S3, as one batch.

    Starts a real S3 server, the pronk server and the bundled engine on free ports, uploads the requests, waits for the
    batch, downloads the results and scores the answers against what was drawn. Nothing leaves this machine.
    """
    interrupt_on_every_end()
    began = time.monotonic()
    _clear(folder)
    _say("Starting an S3 server and pronk with its engine, and drawing pictures: a few seconds.")
    with ExitStack() as servers:
        tasks, url = _start(folder, servers)
        outcome = _run_batch(Client(ClientSettings(url)), folder, tasks)
        _report(outcome)
        _close(folder, url, began, is_kept=keep)
        with suppress(KeyboardInterrupt):
            while keep:
                time.sleep(3600)
    return 1 if outcome.unexpected() else 0


def _clear(folder: Path) -> None:
    """Empty a folder that an earlier demo made; refuse any other that is not empty."""
    if folder.exists() and any(folder.iterdir()) and not (folder / MARKER).exists():
        raise SettingsError(f"{folder} is not empty and not from a demo; name another one with --folder")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / MARKER).touch()


def _start(folder: Path, servers: ExitStack) -> tuple[list[Task], str]:
    """Start everything; the pictures are drawn while the engine loads its model."""
    buckets = folder / "buckets"
    for bucket in BUCKETS:
        (buckets / bucket).mkdir(parents=True)
    s3 = servers.enter_context(s3_server(buckets, folder / "s3.log"))
    server_url = servers.enter_context(pronk_server(folder / "data", s3, folder / "server.log"))
    rng = Random(SEED)
    tasks = make_tasks(fill_buckets(buckets, rng), rng)
    with (folder / "input.jsonl").open("w", encoding="utf-8") as lines:
        lines.writelines(task.line(SHIPPED_NAME) + "\n" for task in tasks)
    drawn = sum(BUCKETS.values())
    _say(f"1. {drawn} pictures of drawn shapes lie in two buckets of an S3 server (rclone) at {s3.url}")
    _say(
        f"2. {len(tasks)} requests name them by reference, {len(BROKEN)} broken on purpose: {folder / 'input.jsonl'}"
    )
    url = server_url()
    _await_ready(Client(ClientSettings(url)))
    _say(f"3. pronk runs with one worker and the bundled engine at {url}")
    return tasks, url


def _await_ready(client: Client) -> None:
    """Wait until the worker has reported, the engine behind it."""
    deadline = time.monotonic() + READY_SECONDS
    while True:
        try:
            client.get("/ready")
        except UnavailableError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
        else:
            return


def _run_batch(client: Client, folder: Path, tasks: list[Task]) -> Outcome:
    source = folder / "input.jsonl"
    with transfer(source.name, source.stat().st_size) as on_bytes:
        uploaded = client.upload(source, "batch", on_bytes)
    _say(f"4. POST /v1/files    {uploaded['id']}")
    request = {
        "input_file_id": uploaded["id"],
        "endpoint": "/v1/chat/completions",
        "completion_window": "unlimited",
    }
    batch = client.post("/v1/batches", request)
    _say(f"   POST /v1/batches  {batch['id']}")
    batch = _watch(client, batch)
    paths = {
        key: _download(client, batch[key], folder / name)
        for key, name in (("output_file_id", "output.jsonl"), ("error_file_id", "errors.jsonl"))
    }
    return read_outcome(tasks, paths["output_file_id"], paths["error_file_id"])


def _watch(client: Client, batch: dict[str, Any]) -> dict[str, Any]:
    with BatchProgress("   batch") as progress:
        for now in follow(client, batch["id"]):
            batch = now
            progress.show(batch["status"], counts(batch))
    if batch["status"] != "completed":
        raise ApiError(f"the batch is {batch['status']}, not completed: {batch.get('errors')}")
    return batch


def _download(client: Client, file_id: str | None, path: Path) -> Path | None:
    if file_id is None:
        return None
    fetch(client, file_id, path)
    return path


def _report(outcome: Outcome) -> None:
    _block("5. Some answers, each below its pictures:", outcome.example_lines())
    _block("6. All answers, scored against what was drawn:", outcome.score_lines())
    _block(
        "7. The error file: one line for each broken request, none of which hurt another:",
        outcome.error_lines(),
    )


def _close(folder: Path, url: str, began: float, *, is_kept: bool) -> None:
    names = "input.jsonl, output.jsonl, errors.jsonl, the pictures and the servers' logs"
    _say(f"\nDone in {time.monotonic() - began:.0f} s. {folder} has {names}.")
    if is_kept:
        _say(f"The server runs until Ctrl-C: {url}/docs shows its API.")
    else:
        _say(f"The API's description was at {url}/docs; make demo KEEP=1 leaves the server running.")


def _block(heading: str, lines: list[str]) -> None:
    _say("\n" + "\n".join([heading, *(f"   {line}" for line in lines)]))


def _say(text: str) -> None:
    print(text, flush=True)
