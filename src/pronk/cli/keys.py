"""``pronk keys``: API keys, straight on the database of the machine's server."""

from __future__ import annotations

from typing import Annotated, Any, Final

from cyclopts import Parameter

from pronk.cli import show
from pronk.cli.flags import Json, new_app, with_settings
from pronk.cli.local import LOCAL, note, on_store, project_of
from pronk.domain.errors import SettingsError
from pronk.domain.ids import new_key_id
from pronk.domain.key import SHOWN, Key, Scope, hash_of, new_secret
from pronk.domain.window import window_seconds
from pronk.settings import Settings
from pronk.store.store import Store

app = new_app(
    "keys",
    """
pronk keys create --name laptop --scope admin
pronk keys create --name nightly --project vision --scope write --expires 90d
pronk keys list
pronk keys revoke key_0196f3c2a1b4d5e6f7a8b9c0d1e
""",
    text="API keys of a server: made, listed and revoked on its machine, straight in its database; a server that runs "
    "hears of it at once. From the first key on it asks everybody for one.",
)
_COLUMNS: Final = (
    ("ID", lambda row: row["id"]),
    ("KEY", lambda row: f"{row['prefix']}…"),
    ("NAME", lambda row: row["name"]),
    ("PROJECT", lambda row: row["project_id"]),
    ("SCOPES", lambda row: ",".join(row["scopes"])),
    ("EXPIRES", lambda row: show.moment(row["expires_at"])),
    ("LAST USED", lambda row: show.moment(row["last_used_at"])),
    ("REVOKED", lambda row: show.moment(row["revoked_at"])),
)
Project = Annotated[str, Parameter(help="Name or id of the project.")]


@app.command(name="create")
@with_settings(only=LOCAL)
def create(
    settings: Settings,
    *,
    name: Annotated[str, Parameter(help="What the key is for.")] = "",
    project: Project = "default",
    scope: Annotated[
        list[Scope], Parameter(help="read, write (also reads) or admin (also writes, and manages keys).")
    ] = [Scope.WRITE],  # noqa: B006  # never changed
    expires: Annotated[str, Parameter(help="After so long it opens nothing: 12h, 30d, 365d.")] = "",
    json: Json = False,
) -> int:
    """Make a key and print it, this once: only its hash is kept."""
    seconds = _seconds(expires)
    secret = new_secret()

    async def work(store: Store) -> Key:
        now = int(store.now())
        key = Key(
            id=new_key_id(),
            project_id=(await project_of(store, project)).id,
            name=name,
            prefix=secret[:SHOWN],
            scopes=tuple(each for each in Scope if each in scope),
            created_at=now,
            expires_at=None if seconds is None else now + seconds,
        )
        await store.keys.add(key, hash_of(secret))
        await note(store, key.project_id, "key.create", key.id)
        return key

    made = on_store(settings, work)
    if json:
        show.as_json({**_row(made), "value": secret})
    else:
        print(secret)
    return 0


@app.command(name="list")
@with_settings(only=LOCAL)
def list_(settings: Settings, *, project: Project = "", json: Json = False) -> int:
    """List keys, newest first, also those that are revoked or expired."""

    async def work(store: Store) -> list[Key]:
        of = (await project_of(store, project)).id if project else None
        return await store.keys.page(of, limit=10_000)

    found = [_row(key) for key in on_store(settings, work)]
    if json:
        show.as_json({"object": "list", "data": found})
    else:
        show.as_table(found, _COLUMNS, empty="no keys")
    return 0


@app.command(name="revoke")
@with_settings(only=LOCAL)
def revoke(settings: Settings, key_id: str, /, *, json: Json = False) -> int:
    """Revoke a key: from its next request on it opens nothing. This cannot be undone."""

    async def work(store: Store) -> Key:
        key = await store.keys.revoke(None, key_id, now=int(store.now()))
        await note(store, key.project_id, "key.revoke", key.id)
        return key

    revoked = on_store(settings, work)
    show.as_json(_row(revoked)) if json else print(f"revoked {revoked.id} ({revoked.name or revoked.prefix})")
    return 0


def _seconds(expires: str) -> int | None:
    """Return how long a key lives, None for ever."""
    if not expires:
        return None
    if expires.endswith("d") and expires[:-1].isdecimal() and 0 < int(expires[:-1]) <= 36_500:
        return int(expires[:-1]) * 86_400
    try:
        seconds = window_seconds(expires)
    except ValueError:
        seconds = None
    if seconds is None:
        raise SettingsError(f"--expires is {expires!r}; it must be a time such as 12h, 30d or 365d")
    return seconds


def _row(key: Key) -> dict[str, Any]:
    return {
        "id": key.id,
        "object": "key",
        "name": key.name,
        "project_id": key.project_id,
        "prefix": key.prefix,
        "scopes": [str(scope) for scope in key.scopes],
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "last_used_at": key.last_used_at,
        "revoked_at": key.revoked_at,
    }
