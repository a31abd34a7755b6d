"""``pronk migrate``: the database's schema."""

from __future__ import annotations

from pronk.cli.flags import new_app, with_settings
from pronk.settings import Settings

app = new_app(
    "migrate",
    """
pronk migrate
pronk migrate --database postgresql://pronk:secret@db.example.org/pronk
pronk migrate --config pronk.toml
""",
)


@app.default
@with_settings(only=("database", "data_dir"))
def migrate(settings: Settings) -> int:
    """Bring the database's schema up to date and say what was done.

    A server does the same when it starts. All steps that are missing are taken together or not at all, by one process at
    a time, so it may be interrupted and run again.
    """
    import anyio

    from pronk.store.opening import open_database

    database = open_database(settings.database.reveal())
    anyio.run(database.close)
    for step in database.applied:
        print(f"applied {step}")
    if not database.applied:
        print("the schema is up to date")
    return 0
