"""A batch in this process: requests in, rows out, without a server."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pronk.client.calls import CHAT, lines_of


def run(
    requests: Iterable[Mapping[str, Any]],
    *,
    engine: str | list[str] | None = None,
    endpoint: str = CHAT,
    config: str | Path | None = None,
) -> list[dict[str, Any]]:
    """Answer requests (lines of an input file, or bodies alone) and return a row for each, in their order.

    `engine` holds base URLs of engines; without it and a `config` the bundled engine answers. A row is flat, ready for a
    DataFrame: custom_id, ok, images, prompt, answer, answer_NAME for the members of a JSON answer, usage, error_code,
    error_message. Nothing is kept afterwards. Raises PronkError where nothing can be run.
    """
    from pronk.app.run import Run, run_files
    from pronk.settings import load

    with tempfile.TemporaryDirectory(prefix="pronk-run-") as folder:
        place = Path(folder)
        with (place / "in.jsonl").open("wb") as file:
            file.writelines(lines_of(requests, endpoint))
        engines = [engine] if isinstance(engine, str) else engine
        flags = {"data_dir": str(place / "data"), "engine": engines}
        settings = load(
            config=Path(config) if config else None, flags=flags, defaults={"log_level": "warning"}
        )
        wanted = Run(input=str(place / "in.jsonl"), output=str(place / "out"), errors=str(place / "errors"))
        [outcome] = run_files(settings, [wanted], lambda _: None)
        _check(outcome.batch.errors)
        return list(_rows(place / "in.jsonl", [each for each in (outcome.output, outcome.errors) if each]))


def _check(findings: Iterable[Any]) -> None:
    from pronk.domain.errors import InvalidRequestError

    for finding in findings:
        where = f"request {finding.line}: " if finding.line else ""
        raise InvalidRequestError(f"{where}{finding.message}", param=finding.param, code=finding.code)


def _rows(requests: Path, results: list[str]) -> Iterable[dict[str, Any]]:
    from pronk.domain.ids import result_line
    from pronk.results.row import read_request, read_result

    found: dict[int, bytes] = {}
    for path in results:
        for raw in Path(path).read_bytes().splitlines():
            found[result_line(json.loads(raw)["id"]) or 0] = raw
    for number, line in enumerate(requests.read_bytes().splitlines(), 1):
        plain, _ = read_request(line)
        cells, fields = read_result(number, found[number])
        del cells["line"]
        yield {**cells, **plain, **{f"answer_{name}": value for name, value in fields.items()}}
