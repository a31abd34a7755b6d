"""``pronk export``: the results of a batch as one table."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from pronk.cli.flags import new_app, with_settings
from pronk.domain.errors import SettingsError
from pronk.settings import Settings

if TYPE_CHECKING:
    from pronk.results.export import Sources

app = new_app(
    "export",
    """
pronk export batch_0123 --to results.parquet
pronk export batch_0123 --to s3://my-bucket/results/batch.parquet
pronk export input.output.jsonl --input input.jsonl --errors input.errors.jsonl --to results.csv
""",
)


@app.default
@with_settings(only=("log_level",), log_level="warning")
def export(
    settings: Settings,
    batch: Annotated[str, Parameter(help="Id of a batch of the server, or an output file.")],
    /,
    *,
    to: Annotated[
        str, Parameter(help="What to write: .parquet, .csv or .jsonl, here or in s3://, gs://, az://.")
    ],
    errors: Annotated[Path | None, Parameter(help="Error file, where the output is a file.")] = None,
    input: Annotated[Path | None, Parameter(help="Input file, where the output is a file.")] = None,  # noqa: A002
) -> int:
    """Write one row for each request: custom_id, image references, prompt, answer, usage and error.

    Members of answers that are JSON objects become columns answer_NAME with types of their own, members of request lines that
    are not OpenAI's become columns input_NAME.
    """
    from pronk.results.export import check_installed

    check_installed()
    with tempfile.TemporaryDirectory(prefix="pronk-export-") as folder:
        is_file = Path(batch).is_file()
        sources = _files(batch, errors, input) if is_file else _fetched(batch, Path(folder))
        count = _write(settings, sources, to, Path(folder))
    print(f"{count:,} rows: {to}")
    return 0


def _files(output: str, errors: Path | None, requests: Path | None) -> Sources:
    from pronk.results.export import Sources

    for path in (errors, requests):
        if path is not None and not path.is_file():
            raise SettingsError(f"{path} is not a file")
    return Sources(output=Path(output), errors=errors, input=requests)


def _fetched(batch_id: str, folder: Path) -> Sources:
    """Fetch the files of a batch; an input file that is gone leaves its columns empty."""
    from pronk.cli.client import Client
    from pronk.cli.files import fetch
    from pronk.domain.batch import TERMINAL
    from pronk.domain.errors import ApiError
    from pronk.results.export import Sources

    client = Client()
    batch = client.get(f"/v1/batches/{batch_id}")
    if batch["status"] not in TERMINAL:
        raise SettingsError(
            f"{batch_id} is {batch['status']}; wait for it with: pronk batches watch {batch_id}"
        )
    if not (batch["output_file_id"] or batch["error_file_id"]):
        raise SettingsError(f"{batch_id} is {batch['status']} and has no results")
    found: dict[str, Path] = {}
    for noun, member in (
        ("output", "output_file_id"),
        ("errors", "error_file_id"),
        ("input", "input_file_id"),
    ):
        if batch[member] is None:
            continue
        try:
            fetch(client, batch[member], folder / noun)
        except ApiError:
            if noun != "input":
                raise
        else:
            found[noun] = folder / noun
    return Sources(**found)


def _write(settings: Settings, sources: Sources, to: str, folder: Path) -> int:
    from pronk.results.export import export

    if "://" not in to:
        return export(sources, Path(to))
    from pronk.app.carry import carry_out

    made = folder / f"table{Path(to).suffix}"
    count = export(sources, made)
    carry_out(settings, made, to)
    return count
