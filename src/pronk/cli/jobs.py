"""``pronk jobs``: the jobs of a server."""

from __future__ import annotations

from typing import Annotated, Final

from cyclopts import Parameter

from pronk.cli import show
from pronk.cli.client import Client
from pronk.cli.flags import Json, new_app

app = new_app(
    "jobs",
    """
pronk jobs list
pronk jobs show job-sort-parts
""",
    text="List and show the jobs of a server: named models with their engine, defaults and media policy.",
)
_COLUMNS: Final = (
    ("ID", lambda row: row["id"]),
    ("MODEL", lambda row: row.get("model") or "any"),
    ("ENGINE", lambda row: row.get("engine")),
    ("USE CASE", lambda row: row.get("use_case")),
)


@app.command(name="list")
def list_(*, limit: Annotated[int, Parameter(help="Most jobs to list.")] = 100, json: Json = False) -> int:
    """List jobs."""
    found = Client().list("/v1/jobs", limit)
    if json:
        show.as_json({"object": "list", "data": found})
    else:
        show.as_table(found, _COLUMNS, empty="no jobs")
    return 0


@app.command(name="show")
def show_(job_id: str, /, *, json: Json = False) -> int:
    """Show one job."""
    job = Client().get(f"/v1/jobs/{job_id}")
    show.as_json(job) if json else show.as_fields(job)
    return 0
