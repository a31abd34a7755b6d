"""``pronk webhooks``: who is told when batches end."""

from __future__ import annotations

from typing import Annotated, Final

from cyclopts import Parameter

from pronk.cli import show
from pronk.cli.client import Client
from pronk.cli.flags import Json, new_app

app = new_app(
    "webhooks",
    """
pronk webhooks create https://example.org/pronk --event batch.failed
pronk webhooks list
pronk webhooks deliveries wh_0123
""",
    text="Create, list and delete the webhooks of a server, and see what became of their deliveries.",
)
_COLUMNS: Final = (
    ("ID", lambda row: row["id"]),
    ("URL", lambda row: row["url"]),
    ("EVENTS", lambda row: ",".join(row["events"])),
    ("CREATED", lambda row: show.moment(row["created_at"])),
)
_DELIVERIES: Final = (
    ("ID", lambda row: row["id"]),
    ("BATCH", lambda row: row["batch_id"]),
    ("WHAT", lambda row: row["subject"]),
    ("STATE", lambda row: row["state"]),
    ("TRIES", lambda row: len(row["tries"])),
    ("LAST ERROR", lambda row: row["tries"][-1]["error"] if row["tries"] else ""),
)


@app.command
def create(
    url: str,
    /,
    *,
    event: Annotated[list[str] | None, Parameter(help="Type of event; repeatable. [all]")] = None,
    json: Json = False,
) -> int:
    """Make a webhook and print its id and its secret, which is not shown again."""
    made = Client().post("/v1/webhooks", {"url": url, **({"events": event} if event else {})})
    show.as_json(made) if json else show.as_fields({"id": made["id"], "secret": made["secret"]})
    return 0


@app.command(name="list")
def list_(*, json: Json = False) -> int:
    """List webhooks."""
    found = Client().get("/v1/webhooks")
    show.as_json(found) if json else show.as_table(found["data"], _COLUMNS, empty="no webhooks")
    return 0


@app.command
def delete(webhook_id: str, /, *, json: Json = False) -> int:
    """Delete a webhook."""
    gone = Client().delete(f"/v1/webhooks/{webhook_id}")
    show.as_json(gone) if json else print(f"{webhook_id} deleted")
    return 0


@app.command
def deliveries(
    webhook_or_batch_id: str,
    /,
    *,
    limit: Annotated[int, Parameter(help="Most deliveries to list, newest first.")] = 50,
    json: Json = False,
) -> int:
    """List what a webhook was told, or what the end of a batch has brought (copies of its files as well)."""
    if webhook_or_batch_id.startswith("batch_"):
        found = Client().get(f"/v1/batches/{webhook_or_batch_id}/deliveries")["data"]
    else:
        found = Client().list(f"/v1/webhooks/{webhook_or_batch_id}/deliveries", limit)
    if json:
        show.as_json({"object": "list", "data": found})
    else:
        show.as_table(found, _DELIVERIES, empty="no deliveries")
    return 0
