"""``pronk verify``: whether everything of a batch is there, once and unharmed."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from pronk.cli import show
from pronk.cli.flags import Json, new_app, with_settings
from pronk.settings import Settings

app = new_app(
    "verify",
    """
pronk verify batch_0123
pronk verify batch_0123 --config pronk.toml --json
""",
)


@app.default
@with_settings(only=("database", "storage", "data_dir"), log_level="warning")
def verify(
    settings: Settings,
    batch: Annotated[str, Parameter(help="A batch's id.")],
    /,
    *,
    json: Json = False,
) -> int:
    """Recount a batch from what is stored: its input, journal and result files, with their checksums.

    It reads the database and the storage that the settings name and changes nothing; a server may be running on them. The
    exit status is 1 when anything is missing, doubled or damaged.
    """
    import msgspec

    from pronk.app.verify import verify as run

    verdict = run(settings, batch)
    if json:
        show.as_json({**msgspec.to_builtins(verdict), "sound": verdict.is_sound})
        return 0 if verdict.is_sound else 1
    counts = {
        "lines": verdict.lines,
        "answered": verdict.answered,
        "failed": verdict.failed,
        "parts": verdict.parts,
    }
    show.as_fields(
        {"batch": verdict.batch_id, "status": verdict.status, **counts, "size": show.size(verdict.bytes)}
    )
    for note in verdict.notes:
        print(f"note: {note}")
    for problem in verdict.problems:
        print(f"PROBLEM: {problem}")
    print("sound" if verdict.is_sound else f"{len(verdict.problems)} problems")
    return 0 if verdict.is_sound else 1
