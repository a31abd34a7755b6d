"""``pronk make``: request files from a bucket's listing."""

from __future__ import annotations

import json as json_
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from pronk.cli import show
from pronk.cli.flags import Json, new_app, with_settings
from pronk.domain.errors import SettingsError
from pronk.settings import Settings

if TYPE_CHECKING:
    from pronk.app.make import Progress

app = new_app(
    "make",
    """
pronk make s3://parts/2026/ --prompt "Which category is {name}?" --model Qwen/Qwen3-VL-8B-Instruct
pronk make s3://parts/ --prompt "What differs?" --model m --group folder --include "*.png" -o requests
pronk make s3://parts/ --prompt "Is it {label}?" --model m --table labels.csv --schema answer.json
""",
)


@app.default
@with_settings(only=("log_level", "max_lines", "max_file_bytes"), log_level="warning")
def make(
    settings: Settings,
    source: Annotated[
        str, Parameter(help="s3://bucket/prefix, gs://bucket/prefix or az://container/prefix.")
    ],
    /,
    *,
    prompt: Annotated[str, Parameter(help="What to ask; {key}, {name}, {folder} and columns of --table.")],
    model: Annotated[str, Parameter(help="Model that the requests name.")],
    system: Annotated[str | None, Parameter(help="System message, with the same names.")] = None,
    schema: Annotated[Path | None, Parameter(help="JSON schema that answers must follow.")] = None,
    include: Annotated[
        list[str] | None,
        Parameter(help="Glob over names, or over paths when it has a slash; repeatable. [pictures]"),
    ] = None,
    group: Annotated[
        str | None, Parameter(help="folder, or a regular expression: objects of one request. [one each]")
    ] = None,
    max_images: Annotated[int, Parameter(help="Most objects of one request.")] = 50,
    table: Annotated[
        Path | None, Parameter(help="CSV or Parquet with a column key, for further names.")
    ] = None,
    set: Annotated[  # noqa: A002  # the flag's name
        list[str] | None, Parameter(help="NAME=JSON put into every body, such as temperature=0; repeatable.")
    ] = None,
    output: Annotated[Path, Parameter(name=["--output", "-o"], help="Folder for the files.")] = Path(
        "requests"
    ),
    json: Json = False,
) -> int:
    """Write one request for each object below a prefix, split at the limits of files.

    Interrupted, the same command goes on behind the last whole file.
    """
    from pronk.app.make import make as run
    from pronk.app.recipe import Recipe

    recipe = Recipe(
        source=source,
        model=model,
        prompt=prompt,
        system=system,
        include=tuple(include or ()),
        group=group,
        max_images=max_images,
        extra=_extra(schema, set or []),
        table=str(table) if table else None,
        max_lines=settings.max_lines,
        max_bytes=settings.max_file_bytes,
    )
    progress = run(settings, recipe, output, _Note())
    if json:
        show.as_json(_shown(progress, output))
    else:
        left_out = f", {progress.left_out:,} objects left out" if progress.left_out else ""
        print(f"{progress.requests:,} requests for {progress.objects:,} objects{left_out}")
        for name in progress.files:
            print(output / name)
    return 0


class _Note:
    """Says on a terminal how far it is, a few times a second."""

    def __init__(self) -> None:
        self._said_at = 0.0

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        if sys.stderr.isatty() and (progress.is_done or now - self._said_at > 0.2):
            self._said_at = now
            end = "\n" if progress.is_done else "\r"
            print(f"{progress.requests:,} requests", end=end, file=sys.stderr, flush=True)


def _extra(schema: Path | None, pairs: list[str]) -> dict[str, Any]:
    extra: dict[str, Any] = {}
    for text in pairs:
        name, sign, value = text.partition("=")
        try:
            extra[name] = json_.loads(value) if sign else None
        except ValueError:
            extra[name] = value
        if not sign or name in {"", "model", "messages"}:
            raise SettingsError(f"--set {text!r} must be NAME=JSON of a member other than model and messages")
    return {**extra, **({"response_format": _response_format(schema)} if schema else {})}


def _response_format(path: Path) -> dict[str, Any]:
    try:
        found = json_.loads(path.read_text("utf-8"))
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise SettingsError(f"{path} is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise SettingsError(f"{path} has to hold a JSON schema, which is an object")
    if found.get("type") == "json_schema":
        return found
    return {"type": "json_schema", "json_schema": {"name": path.stem, "strict": True, "schema": found}}


def _shown(progress: Progress, folder: Path) -> dict[str, Any]:
    return {
        "files": [str(folder / name) for name in progress.files],
        "requests": progress.requests,
        "objects": progress.objects,
        "left_out": progress.left_out,
    }
