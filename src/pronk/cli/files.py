"""``pronk files``: the files of a server."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, Final

from cyclopts import Parameter

from pronk.cli import show
from pronk.cli.client import Client
from pronk.cli.flags import Json, new_app
from pronk.cli.progress import sent, transfer
from pronk.domain.errors import SettingsError

app = new_app(
    "files",
    """
pronk files upload input.jsonl
pronk files import s3://my-bucket/requests/input.jsonl
pronk files list --purpose batch_output
pronk files download file-0123 -o output.jsonl
""",
    text="Upload, import, list, show, download and delete the files of a server.",
)
_COLUMNS: Final = (
    ("ID", lambda row: row["id"]),
    ("PURPOSE", lambda row: row["purpose"]),
    ("SIZE", lambda row: show.size(row["bytes"])),
    ("CREATED", lambda row: show.moment(row["created_at"])),
    ("NAME", lambda row: row["filename"]),
)


@app.command
def upload(
    file: Annotated[list[Path], Parameter(help="One file or more.")],
    /,
    *,
    purpose: Annotated[str, Parameter(help="What the file is for.")] = "batch",
    json: Json = False,
) -> int:
    """Upload files and print their ids."""
    client = Client()
    for each in file:
        uploaded = send(client, each, purpose)
        show.as_json(uploaded) if json else print(uploaded["id"])
    return 0


@app.command(name="import")
def import_(
    url: Annotated[str, Parameter(help="s3://bucket/key, gs://bucket/key or az://container/key.")],
    /,
    *,
    purpose: Annotated[str, Parameter(help="What the file is for.")] = "batch",
    json: Json = False,
) -> int:
    """Let the server take an object of a store as a file, and print its id."""
    taken = Client().post("/v1/files/import", {"url": url, "purpose": purpose})
    show.as_json(taken) if json else print(taken["id"])
    return 0


@app.command(name="list")
def list_(
    *,
    purpose: Annotated[str | None, Parameter(help="Only files for this.")] = None,
    limit: Annotated[int, Parameter(help="Most files to list, newest first.")] = 50,
    json: Json = False,
) -> int:
    """List files, the newest first."""
    found = Client().list("/v1/files", limit, purpose=purpose)
    if json:
        show.as_json({"object": "list", "data": found})
    else:
        show.as_table(found, _COLUMNS, empty="no files")
    return 0


@app.command(name="show")
def show_(file_id: str, /, *, json: Json = False) -> int:
    """Show one file."""
    found = Client().get(f"/v1/files/{file_id}")
    show.as_json(found) if json else show.as_fields(found)
    return 0


@app.command
def download(
    file_id: str,
    /,
    *,
    output: Annotated[
        Path | None,
        Parameter(
            allow_leading_hyphen=True,
            name=["--output", "-o"],
            help="Where to; - is standard output. [the file's own name]",
        ),
    ] = None,
    json: Json = False,
) -> int:
    """Download a file's content."""
    client = Client()
    if output == Path("-"):
        client.download(file_id, sys.stdout.buffer)
        return 0
    found = client.get(f"/v1/files/{file_id}")
    path = output or Path(Path(found["filename"]).name)
    fetch(client, file_id, path, total=found["bytes"])
    show.as_json({**found, "path": str(path)}) if json else print(path)
    return 0


@app.command
def delete(file_id: list[str], /, *, json: Json = False) -> int:
    """Delete files."""
    client = Client()
    for each in file_id:
        gone = client.delete(f"/v1/files/{each}")
        show.as_json(gone) if json else print(f"{each} deleted")
    return 0


def send(client: Client, file: Path, purpose: str) -> dict[str, Any]:
    """Upload one file with its progress shown; return its File object."""
    if not file.is_file():
        raise SettingsError(f"{file} is not a file")
    total = file.stat().st_size
    with transfer(file.name, total) as on_bytes:
        uploaded = client.upload(file, purpose, on_bytes)
    sent(f"uploaded {file.name}", total)
    return uploaded


def fetch(client: Client, file_id: str, path: Path, *, total: int | None = None) -> None:
    """Download to `path`, which appears only when it is whole."""
    partial = path.with_name(path.name + ".part")
    try:
        with transfer(path.name, total) as on_bytes, partial.open("wb") as into:
            client.download(file_id, into, on_bytes)
        partial.replace(path)
    except OSError as error:
        raise SettingsError(f"{path} cannot be written: {error.strerror}") from error
    finally:
        partial.unlink(missing_ok=True)
