"""``pronk run``: batches without a server."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from pronk.cli.flags import ENGINE, new_app, with_settings
from pronk.cli.progress import BatchProgress
from pronk.domain.batch import Batch, Counts
from pronk.domain.errors import SettingsError
from pronk.settings import Settings

if TYPE_CHECKING:
    from pronk.app.run import RunOutcome

app = new_app(
    "run",
    """
pronk run input.jsonl
pronk run requests -o results/
pronk run s3://my-bucket/in.jsonl -o s3://my-bucket/out/
pronk run input.jsonl -o answers.jsonl --errors errors.jsonl --engine http://gpu-1:8000/v1
""",
)


@app.default
@with_settings(only=(*ENGINE, "data_dir", "log_level"), log_level="warning")
def run(
    settings: Settings,
    input: Annotated[  # noqa: A002 - the name users see
        str,
        Parameter(
            help="JSONL file of requests, a folder of them, or an object such as s3://bucket/in.jsonl."
        ),
    ],
    /,
    *,
    output: Annotated[
        str | None,
        Parameter(
            name=["--output", "-o"],
            help="Answers: a file, or a folder (ends in /), here or in s3://, gs://, az://. [INPUT with .output.jsonl]",
        ),
    ] = None,
    errors: Annotated[
        str | None, Parameter(help="Failed requests of one file. [INPUT with .errors.jsonl]")
    ] = None,
) -> int:
    """Answer every request of a file and write the answers beside it, without a server.

    Stopped or killed, the same command goes on where it was. Exit status: 0 every line was answered,
    1 some line or a whole batch failed, 2 wrong usage.
    """
    from pronk.app.run import Run, is_object, run_files

    inputs = [input] if is_object(input) else _inputs(Path(input))
    if errors is not None and len(inputs) > 1:
        raise SettingsError("--errors is for one file; name a folder for all results with -o")
    if is_object(input) and output is None:
        raise SettingsError(
            "say with -o where the answers go, such as -o s3://bucket/out/ or -o answers.jsonl"
        )
    runs = []
    for each in inputs:
        answers = _place(each, output, "output", is_one=len(inputs) == 1)
        failed = errors or _beside(each, answers)
        runs.append(Run(input=each, output=answers, errors=failed))
    label = Path(input).name if len(inputs) == 1 else f"{len(inputs)} files"
    with BatchProgress(label) as progress:
        outcomes = run_files(settings, runs, lambda batches: progress.show(*_sum(batches)))
    return max(_report(outcome) for outcome in outcomes)


def _inputs(path: Path) -> list[str]:
    """Return the files of requests: one, or those of a folder, without results of earlier runs."""
    if path.is_file():
        return [str(path)]
    if not path.is_dir():
        raise SettingsError(
            f"{path} is not a file; name the JSONL file with the requests, or a folder of them"
        )
    found = [
        str(each) for each in sorted(path.glob("*.jsonl")) if not each.stem.endswith((".output", ".errors"))
    ]
    if not found:
        raise SettingsError(f"{path} holds no .jsonl files")
    return found


def _place(source: str, output: str | None, kind: str, *, is_one: bool) -> str:
    """Return where the results of one input go."""
    stem = Path(source.rpartition("/")[2]).stem
    if output is None:
        return str(Path(source).with_suffix(f".{kind}.jsonl"))
    if output.endswith("/") or (not is_one and "://" in output):
        return (
            f"{output.rstrip('/')}/{stem}.{kind}.jsonl" if "://" in output else _in_folder(output, stem, kind)
        )
    if "://" not in output and (Path(output).is_dir() or not is_one):
        return _in_folder(output, stem, kind)
    return output


def _in_folder(folder: str, stem: str, kind: str) -> str:
    Path(folder).mkdir(parents=True, exist_ok=True)
    return str(Path(folder) / f"{stem}.{kind}.jsonl")


def _beside(source: str, answers: str) -> str:
    """Return where failed requests go: beside the answers, named after the input."""
    name = f"{Path(source.rpartition('/')[2]).stem}.errors.jsonl"
    if "://" in answers:
        return f"{answers.rpartition('/')[0]}/{name}"
    if answers == str(Path(source).with_suffix(".output.jsonl")):
        return str(Path(source).with_suffix(".errors.jsonl"))
    return str(
        (
            Path(answers).parent
            if "://" in source or answers.endswith(".output.jsonl")
            else Path(source).parent
        )
        / name
    )


def _sum(batches: Sequence[Batch]) -> tuple[str, Counts]:
    """Return the status of the first batch that runs, and the counts of all."""
    status = next((batch.status for batch in batches if not batch.is_terminal), batches[-1].status)
    every = [batch.counts for batch in batches]
    return status, Counts(
        sum(counts.total for counts in every),
        sum(counts.completed for counts in every),
        sum(counts.failed for counts in every),
    )


def _report(outcome: RunOutcome) -> int:
    batch = outcome.batch
    for finding in batch.errors:
        print(f"line {finding.line}: {finding.code}: {finding.message}" if finding.line else finding.message)
    if outcome.output is not None:
        print(f"{batch.counts.completed} answered: {outcome.output}")
    if outcome.errors is not None:
        print(f"{batch.counts.failed} failed: {outcome.errors}")
    has_failed = batch.status != "completed" or batch.counts.failed > 0
    return 1 if has_failed else 0
