"""``pronk cluster``: workers and engine replicas on a Ray cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from cyclopts import Parameter

from pronk.cli import show
from pronk.cli.flags import Json, new_app, with_settings
from pronk.settings import Settings

if TYPE_CHECKING:
    from pronk.cluster.steward import Report

app = new_app(
    "cluster",
    """
pronk cluster up --config pronk.toml
pronk cluster status
pronk cluster down
""",
    text="Workers and engine replicas on a Ray cluster that runs already (pip install 'pronk[ray]'). The server itself runs "
    "beside it, with the same settings: pronk serve --config pronk.toml.",
)
Address = Annotated[
    str, Parameter(help="Address of the Ray cluster; auto: that of RAY_ADDRESS, or the one of this machine.")
]
_COLUMNS: Final = (
    ("NAME", lambda row: row["name"]),
    ("STATE", lambda row: row["state"]),
    ("NODE", lambda row: row["node"]),
    ("URL", lambda row: row["url"]),
    ("ERROR", lambda row: row["error"]),
)


@app.command(name="up")
@with_settings(only=("data_dir", "database", "storage"))
def up(settings: Settings, *, address: Address = "auto", json: Json = False) -> int:
    """Start workers and engines, or bring those that run to other settings, one by one.

    The file needs on_cluster = true, and a database and a storage that every node reaches.
    """
    from pronk.app import cluster

    _print(cluster.up(settings, address), json=json)
    return 0


@app.command(name="status")
def status(*, address: Address = "auto", json: Json = False) -> int:
    """Show what runs where, and how much waits."""
    from pronk.app import cluster

    _print(cluster.look(address), json=json)
    return 0


@app.command(name="down")
def down(
    *,
    address: Address = "auto",
    within: Annotated[float, Parameter(help="Seconds until it gives up waiting.")] = 120.0,
) -> int:
    """Let everything finish what it does, and end it. Batches wait until workers are there again."""
    from pronk.app import cluster

    cluster.down(address, within=within)
    return 0


def _print(report: Report, *, json: bool) -> None:
    from pronk.app.cluster import state_of

    rows = [{**msgspec.structs.asdict(member), "state": state_of(member)} for member in report.members]
    if json:
        show.as_json({"actors": rows, "wanted": report.wanted, "backlog": report.backlog})
        return
    show.as_table(rows, _COLUMNS, empty="Nothing runs yet.")
    wanted = ", ".join(f"{group} {count}" for group, count in sorted(report.wanted.items()))
    waits = ", ".join(f"{pool} {shards}" for pool, shards in sorted(report.backlog.items())) or "none"
    print(f"wanted: {wanted or 'none'}; shards that wait or run: {waits}")
