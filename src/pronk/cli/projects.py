"""``pronk projects``: projects and their limits, straight on the database of the machine's server."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final

import msgspec
from cyclopts import Parameter

from pronk.cli import show
from pronk.cli.flags import Json, new_app, with_settings
from pronk.cli.local import LOCAL, note, on_store, project_of
from pronk.domain.errors import SettingsError
from pronk.domain.ids import new_project_id
from pronk.domain.project import GLOB_PATTERN, Limits, Project
from pronk.settings import Settings
from pronk.store.store import Store

app = new_app(
    "projects",
    """
pronk projects create vision
pronk projects list
pronk projects limit vision max_live_batches=20 max_stored_bytes=50GB max_tokens_per_day=none
pronk projects allow vision 's3://vision/*' 's3://shared/vision/*'
pronk projects show vision
""",
    text="Projects of a server, and how much each may use. What belongs to one does not exist for another.",
)
_COLUMNS: Final = (
    ("ID", lambda row: row["id"]),
    ("NAME", lambda row: row["name"]),
    ("MADE", lambda row: show.moment(row["created_at"])),
    ("MAY READ", lambda row: "everything" if row["allow"] is None else ", ".join(row["allow"]) or "nothing"),
    ("LIMITS", lambda row: ", ".join(f"{name}={value}" for name, value in row["limits"].items())),
)


@app.command(name="create")
@with_settings(only=LOCAL)
def create(settings: Settings, name: str, /, *, json: Json = False) -> int:
    """Make a project."""

    async def work(store: Store) -> Project:
        project = Project(id=new_project_id(), name=name, created_at=int(store.now()))
        await store.projects.add(project)
        await note(store, project.id, "project.create", project.id)
        return project

    made = on_store(settings, work)
    show.as_json(_row(made)) if json else print(made.id)
    return 0


@app.command(name="list")
@with_settings(only=LOCAL)
def list_(settings: Settings, *, json: Json = False) -> int:
    """List projects with the limits of their own."""

    async def work(store: Store) -> list[Project]:
        return await store.projects.page(limit=10_000)

    found = [_row(project) for project in on_store(settings, work)]
    if json:
        show.as_json({"object": "list", "data": found})
    else:
        show.as_table(found, _COLUMNS, empty="no projects")
    return 0


@app.command(name="show")
@with_settings(only=LOCAL)
def show_(settings: Settings, project: str, /, *, json: Json = False) -> int:
    """Show a project, its own limits and what it uses now."""

    async def work(store: Store) -> dict[str, Any]:
        found = await project_of(store, project)
        use = await store.projects.use(found.id, now=store.now())
        return {**_row(found), "use": msgspec.structs.asdict(use)}

    row = on_store(settings, work)
    show.as_json(row) if json else show.as_fields(row)
    return 0


@app.command(name="limit")
@with_settings(only=LOCAL)
def limit(
    settings: Settings,
    project: str,
    /,
    *limits: Annotated[str, Parameter(help="NAME=NUMBER; 0 sets no limit, none takes the server's default.")],
    json: Json = False,
) -> int:
    """Set limits of a project; those that are not named stay."""
    given = dict(_limit(text) for text in limits)

    async def work(store: Store) -> Project:
        found = await project_of(store, project)
        changed = msgspec.structs.replace(found.limits, **given)
        await note(store, found.id, "project.update", found.id)
        return await store.projects.update(found.id, limits=changed)

    row = _row(on_store(settings, work))
    show.as_json(row) if json else show.as_fields(row)
    return 0


@app.command(name="allow")
@with_settings(only=LOCAL)
def allow(
    settings: Settings,
    project: str,
    /,
    *globs: Annotated[str, Parameter(help="Such as 's3://vision/*'; data: URLs need none.")],
    everything: Annotated[bool, Parameter(help="Take the list away.", negative="")] = False,
    nothing: Annotated[bool, Parameter(help="Allow no reference at all.", negative="")] = False,
    json: Json = False,
) -> int:
    """Say what a project may read at all, whatever its jobs allow; the list replaces the one before.

    It bounds jobs, imports, checks and small pictures of the project, and where results of its own jobs may be copied.
    Batches that run keep to it from their next shard on.
    """
    if [bool(globs), everything, nothing].count(True) != 1:
        raise SettingsError("name the globs that a project may read, or --everything, or --nothing")
    for glob in globs:
        if not re.fullmatch(GLOB_PATTERN, glob):
            raise SettingsError(
                f"{glob!r} fits no reference; write it with its scheme, such as 's3://{glob}'"
            )

    async def work(store: Store) -> Project:
        found = await project_of(store, project)
        await note(store, found.id, "project.update", found.id)
        return await store.projects.bound(found.id, None if everything else globs)

    row = _row(on_store(settings, work))
    show.as_json(row) if json else show.as_fields(row)
    return 0


def _limit(text: str) -> tuple[str, int | None]:
    from pronk.settings.values import Given, read

    name, equals, value = text.partition("=")
    known = {field.name: field for field in msgspec.structs.fields(Limits)}
    if not equals or name not in known:
        raise SettingsError(f"{text!r} is no limit; it must be one of {', '.join(known)}, with =NUMBER")
    if value == "none":
        return name, None
    kind = msgspec.inspect.IntType(gt=None, ge=0, lt=None, le=None, multiple_of=None)
    return name, int(read(Given(value, name, is_text=True), kind, name))


def _row(project: Project) -> dict[str, Any]:
    own = {name: value for name, value in msgspec.structs.asdict(project.limits).items() if value is not None}
    return {
        "id": project.id,
        "object": "project",
        "name": project.name,
        "created_at": project.created_at,
        "allow": None if project.allow is None else list(project.allow),
        "limits": own,
    }
