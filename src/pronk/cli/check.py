"""``pronk check``: what would come of a file of requests, without running it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from pronk.cli import show
from pronk.cli.flags import ENGINE, Json, new_app, with_settings
from pronk.domain.errors import SettingsError
from pronk.settings import Settings, names_server

Found = dict[str, Any]
app = new_app(
    "check",
    """
pronk check input.jsonl
pronk check input.jsonl --report page.html --details references.jsonl
pronk check input.jsonl --job-id job-sort-parts --config pronk.toml --json
""",
)
_HERE = (*ENGINE, "log_level", "home_region", "cross_region_price_per_gb")


@app.default
@with_settings(only=_HERE, log_level="warning")
def check(
    settings: Settings,
    file: Annotated[str, Parameter(help="JSONL file of requests, or the id of an uploaded one.")],
    /,
    *,
    job_id: Annotated[str | None, Parameter(help="Job whose limits and lists count.")] = None,
    endpoint: Annotated[str | None, Parameter(help="What every line's url is. [the first line's]")] = None,
    details: Annotated[
        Path | None, Parameter(help="File that gets every reference as a line of JSON.")
    ] = None,
    report: Annotated[Path | None, Parameter(help="File that gets the report as a web page.")] = None,
    json: Json = False,
) -> int:
    """Check every line and look at every reference of a file, without running anything.

    With PRONK_URL set the server there checks, with its own credentials and jobs; else this machine does, with the
    settings that `pronk run` would use. Exit status: 0 every line would reach the engine, 1 some would not.
    """
    is_id = file.startswith("file-") and not Path(file).exists()
    if not is_id and not Path(file).is_file():
        raise SettingsError(f"{file} is not a file; name the JSONL file with the requests")
    if is_id or names_server():
        found = _on_server(file, (job_id, endpoint), details, is_id=is_id)
    else:
        found = _here(settings, file, (job_id, endpoint), details)
    if report is not None:
        from pronk.cli.check_page import page

        _write(report, page(file, found))
    if json:
        show.as_json(found)
    else:
        _print(file, found)
    return 0 if found["ok"] else 1


def _here(settings: Settings, file: str, asked: tuple[str | None, str | None], details: Path | None) -> Found:
    import msgspec

    from pronk.app.check import Checked, check_file

    wanted = Checked(input=Path(file), job_id=asked[0], endpoint=asked[1], details=details)
    job, report = check_file(settings, wanted)
    return {"job_id": job.id, "ok": report.ok, **msgspec.to_builtins(report)}


def _on_server(
    file: str, asked: tuple[str | None, str | None], details: Path | None, *, is_id: bool
) -> Found:
    """A file that was uploaded only to be checked goes again afterwards."""
    from pronk.cli.client import Client
    from pronk.cli.files import fetch, send

    client = Client()
    file_id = file if is_id else send(client, Path(file), "batch")["id"]
    body = {"input_file_id": file_id, "endpoint": asked[1] or _endpoint(file, is_id=is_id)}
    try:
        found = client.post("/v1/batches/check", {**body, **({"job_id": asked[0]} if asked[0] else {})})
        if details is not None:
            fetch(client, found["details_file_id"], details)
    finally:
        if not is_id:
            client.delete(f"/v1/files/{file_id}")
    return found


def _endpoint(file: str, *, is_id: bool) -> str:
    from pronk.app.run import endpoint_of

    return "/v1/chat/completions" if is_id else endpoint_of(Path(file))


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"{path} cannot be written: {error.strerror}") from error


def _print(name: str, found: Found) -> None:
    print(
        f"{name}: {found['requests']:,} requests, {'all good' if found['ok'] else 'not all would reach the engine'}"
    )
    for finding in found["errors"]:
        where = f"line {finding['line']}: " if finding["line"] else ""
        print(f"  {where}{finding['code']}: {finding['message']}")
    if found["references"]:
        print(
            f"{found['references']:,} distinct references, named {found['uses']:,} times; {found['readable']:,} can be read, "
            f"{show.size(found['bytes'])}"
        )
        _tables(found)
    cost = found["input_cost"]
    price = "" if cost is None else f", {_dollars(cost)}"
    print(f"about {found['input_tokens']:,} input tokens{price}")


def _tables(found: Found) -> None:
    if found["failed"]:
        failed = [{"code": code, "count": count} for code, count in sorted(found["failed"].items())]
        show.as_table(failed, _FAILED, empty="")
        for problem in found["problems"]:
            print(f"  line {problem['line']}: {problem['code']}: {problem['message']}")
    regions = [{"name": name, **amount} for name, amount in sorted(found["regions"].items())]
    if regions:
        show.as_table(regions, _REGIONS, empty="")
    types = [{"name": name, **amount} for name, amount in sorted(found["types"].items())]
    if types:
        show.as_table(types, _TYPES, empty="")


def _dollars(amount: float) -> str:
    return f"${amount:,.2f}" if amount >= 0.01 or not amount else f"${amount:.6f}"


_FAILED = (("CODE", lambda row: row["code"]), ("REFERENCES", lambda row: f"{row['count']:,}"))
_TYPES = (
    ("TYPE", lambda row: row["name"]),
    ("REFERENCES", lambda row: f"{row['references']:,}"),
    ("SIZE", lambda row: show.size(row["bytes"])),
)
_REGIONS = (
    ("REGION", lambda row: row["name"]),
    ("REFERENCES", lambda row: f"{row['references']:,}"),
    ("SIZE", lambda row: show.size(row["bytes"])),
    ("FROM ELSEWHERE", lambda row: _dollars(row["cost"]) if row["crosses"] else "no"),
)
