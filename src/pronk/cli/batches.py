"""``pronk batches``: the batches of a server."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final

from cyclopts import Parameter

from pronk.cli import show
from pronk.cli.client import Client
from pronk.cli.files import fetch, send
from pronk.cli.flags import Json, new_app
from pronk.cli.progress import BatchProgress, describe
from pronk.domain.batch import TERMINAL, Counts
from pronk.domain.errors import SettingsError, UnavailableError

app = new_app(
    "batches",
    """
pronk batches create input.jsonl --job-id job-sort-parts --watch
pronk batches list --status in_progress
pronk batches watch batch_0123
pronk batches results batch_0123 -o answers.jsonl --errors errors.jsonl
pronk batches retry batch_0123 --watch
""",
    text="Create, list, show, watch, cancel and retry the batches of a server, and get their results.",
)
POLL_SECONDS: Final = 1.0
OUTAGE_ROUNDS: Final = 60
_COLUMNS: Final = (
    ("ID", lambda row: row["id"]),
    ("STATUS", lambda row: row["status"]),
    ("DONE", lambda row: f"{counts(row).completed + counts(row).failed}/{counts(row).total}"),
    ("FAILED", lambda row: counts(row).failed),
    ("MODEL", lambda row: row.get("model")),
    ("JOB", lambda row: row.get("job_id")),
    ("CREATED", lambda row: show.moment(row["created_at"])),
)


Window = Annotated[str | None, Parameter(help="unlimited, or such as 90m, 24h, 7d. [as before]")]
OtherJob = Annotated[str | None, Parameter(help="Another job. [as before]")]
OtherMetadata = Annotated[
    list[str] | None, Parameter(help="KEY=VALUE kept with the batch; repeatable. [as before]")
]
Watch = Annotated[bool, Parameter(help="Stay until it has ended.", negative="")]


@app.command
def create(
    file: Annotated[
        str, Parameter(help="A JSONL file, which is uploaded first, or the id of an uploaded one.")
    ],
    /,
    *,
    endpoint: Annotated[str, Parameter(help="What every line's url is.")] = "/v1/chat/completions",
    completion_window: Annotated[str, Parameter(help="unlimited, or such as 90m, 24h, 7d.")] = "unlimited",
    job_id: Annotated[str | None, Parameter(help="Job that names model, engine and media policy.")] = None,
    metadata: Annotated[
        list[str] | None, Parameter(help="KEY=VALUE kept with the batch; repeatable.")
    ] = None,
    watch: Watch = False,
    json: Json = False,
) -> int:
    """Create a batch and print its id."""
    client = Client()
    is_id = file.startswith("file-") and not Path(file).exists()
    body = {
        "input_file_id": file if is_id else send(client, Path(file), "batch")["id"],
        "endpoint": endpoint,
        "completion_window": completion_window,
        **({"job_id": job_id} if job_id else {}),
        **({"metadata": _pairs(metadata)} if metadata else {}),
    }
    batch = client.post("/v1/batches", body)
    show.as_json(batch) if json else print(batch["id"])
    return _watch(client, batch["id"], is_json=json) if watch else 0


@app.command(name="list")
def list_(
    *,
    status: Annotated[str | None, Parameter(help="Only batches with this status.")] = None,
    job_id: Annotated[str | None, Parameter(help="Only batches of this job.")] = None,
    limit: Annotated[int, Parameter(help="Most batches to list, newest first.")] = 50,
    json: Json = False,
) -> int:
    """List batches, the newest first."""
    found = Client().list("/v1/batches", limit, status=status, job_id=job_id)
    if json:
        show.as_json({"object": "list", "data": found})
    else:
        show.as_table(found, _COLUMNS, empty="no batches")
    return 0


@app.command(name="show")
def show_(batch_id: str, /, *, json: Json = False) -> int:
    """Show one batch."""
    batch = Client().get(f"/v1/batches/{batch_id}")
    show.as_json(batch) if json else show.as_fields(batch)
    return 0


@app.command
def watch(batch_id: str, /, *, json: Json = False) -> int:
    """Show a batch's progress until it has ended. Exit status 0: every line was answered."""
    return _watch(Client(), batch_id, is_json=json)


@app.command
def cancel(batch_id: str, /, *, json: Json = False) -> int:
    """Cancel a batch; what is finished stays."""
    batch = Client().post(f"/v1/batches/{batch_id}/cancel")
    show.as_json(batch) if json else print(f"{batch['id']} is {batch['status']}")
    return 0


@app.command
def retry(
    batch_id: str,
    /,
    *,
    completion_window: Window = None,
    job_id: OtherJob = None,
    metadata: OtherMetadata = None,
    watch: Watch = False,
    json: Json = False,
) -> int:
    """Make a new batch of the lines that failed, expired or were cancelled, and print its id."""
    return _again(batch_id, "retry", _changes(completion_window, job_id, metadata), (watch, json))


@app.command
def clone(
    batch_id: str,
    /,
    *,
    completion_window: Window = None,
    job_id: OtherJob = None,
    metadata: OtherMetadata = None,
    watch: Watch = False,
    json: Json = False,
) -> int:
    """Make a new batch of the same input file, and print its id."""
    return _again(batch_id, "clone", _changes(completion_window, job_id, metadata), (watch, json))


@app.command
def results(
    batch_id: str,
    /,
    *,
    output: Annotated[
        Path | None, Parameter(name=["--output", "-o"], help="Where answers go. [BATCH.output.jsonl]")
    ] = None,
    errors: Annotated[Path | None, Parameter(help="Where failed lines go. [BATCH.errors.jsonl]")] = None,
    json: Json = False,
) -> int:
    """Download a batch's output file and error file."""
    client = Client()
    batch = client.get(f"/v1/batches/{batch_id}")
    if batch["status"] not in TERMINAL:
        raise SettingsError(
            f"{batch_id} is {batch['status']}; wait for it with: pronk batches watch {batch_id}"
        )
    wanted = (
        ("output_file_id", output or Path(f"{batch_id}.output.jsonl")),
        ("error_file_id", errors or Path(f"{batch_id}.errors.jsonl")),
    )
    got = {key: str(path) for key, path in wanted if _fetched(client, batch[key], path)}
    if json:
        show.as_json({"output": got.get("output_file_id"), "errors": got.get("error_file_id")})
    else:
        print("\n".join(got.values()) or f"{batch_id} has no result files")
    return 0


def follow(client: Client, batch_id: str) -> Iterator[dict[str, Any]]:
    """Yield the batch again and again until it has ended; a server that restarts is waited for."""
    outages = 0
    while True:
        try:
            batch, outages = client.get(f"/v1/batches/{batch_id}"), 0
        except UnavailableError:
            outages += 1
            if outages > OUTAGE_ROUNDS:
                raise
        else:
            yield batch
            if batch["status"] in TERMINAL:
                return
        time.sleep(POLL_SECONDS)


def counts(batch: dict[str, Any]) -> Counts:
    """Return a batch's request counts."""
    found = batch.get("request_counts") or {}
    return Counts(found.get("total", 0), found.get("completed", 0), found.get("failed", 0))


def _changes(window: str | None, job_id: str | None, metadata: list[str] | None) -> dict[str, Any]:
    given = {
        "completion_window": window,
        "job_id": job_id,
        "metadata": _pairs(metadata) if metadata else None,
    }
    return {name: value for name, value in given.items() if value is not None}


def _again(batch_id: str, deed: str, changes: dict[str, Any], shown: tuple[bool, bool]) -> int:
    is_watched, is_json = shown
    client = Client()
    batch = client.post(f"/v1/batches/{batch_id}/{deed}", changes)
    show.as_json(batch) if is_json else print(batch["id"])
    return _watch(client, batch["id"], is_json=is_json) if is_watched else 0


def _watch(client: Client, batch_id: str, *, is_json: bool) -> int:
    batch: dict[str, Any] = {}
    with BatchProgress(batch_id) as progress:
        for now in follow(client, batch_id):
            if is_json and now != batch:
                show.as_json(now)
            batch = now
            progress.show(batch["status"], counts(batch))
    if not is_json:
        print(f"{batch_id}: {describe(batch['status'], counts(batch))}")
        for finding in (batch.get("errors") or {}).get("data", []):
            where = f"line {finding['line']}: " if finding.get("line") else ""
            print(f"  {where}{finding['code']}: {finding['message']}")
    return 0 if batch["status"] == "completed" and counts(batch).failed == 0 else 1


def _fetched(client: Client, file_id: str | None, path: Path) -> bool:
    if file_id is not None:
        fetch(client, file_id, path)
    return file_id is not None


def _pairs(texts: list[str]) -> dict[str, str]:
    pairs = {}
    for text in texts:
        key, sign, value = text.partition("=")
        if not sign:
            raise SettingsError(f"--metadata {text!r} must be KEY=VALUE")
        pairs[key] = value
    return pairs
