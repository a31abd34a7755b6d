"""What a page does, as commands to copy: curl, the official SDK, pronk's own command line, DuckDB. Pure."""

from __future__ import annotations

import shlex

import msgspec

from pronk.domain.batch import Batch

_encode = msgspec.json.encode


def snippets(batch: Batch, url: str) -> dict[str, str]:
    """Return commands by what they do it with. They read the key, where one is needed, from PRONK_API_KEY."""
    found = {
        "Look, with curl": f'curl -H "Authorization: Bearer $PRONK_API_KEY" {url}/v1/batches/{batch.id}',
        "Look, with Python": _python(url, f"print(client.batches.retrieve({batch.id!r}))"),
        "Watch, with pronk": f"PRONK_URL={url} pronk batches watch {batch.id}",
        "Make the same again, with curl": _create(batch, url),
        "Make the same again, with Python": _python(url, _python_create(batch)),
    }
    if batch.output_file_id:
        name = f"{batch.id}_output.jsonl"
        found["Download the answers, with curl"] = (
            f'curl -H "Authorization: Bearer $PRONK_API_KEY" -o {name} {url}/v1/files/{batch.output_file_id}/content'
        )
        found["Ask the answers, with DuckDB"] = (
            f"duckdb -c \"FROM read_json('{name}') SELECT custom_id, response.body.choices[1].message.content AS answer LIMIT 20\""
        )
    return found


def _create(batch: Batch, url: str) -> str:
    body = _encode(_wanted(batch)).decode()
    return (
        f'curl -H "Authorization: Bearer $PRONK_API_KEY" -H "Content-Type: application/json" '
        f"-d {shlex.quote(body)} {url}/v1/batches"
    )


def _wanted(batch: Batch) -> dict[str, object]:
    wanted: dict[str, object] = {
        "input_file_id": batch.input_file_id,
        "endpoint": batch.endpoint,
        "completion_window": batch.completion_window,
        "job_id": batch.job.id,
    }
    return {**wanted, "metadata": batch.metadata} if batch.metadata else wanted


def _python(url: str, what: str) -> str:
    return (
        "import os\nfrom openai import OpenAI\n\n"
        f'client = OpenAI(base_url="{url}/v1", api_key=os.environ.get("PRONK_API_KEY", "none"))\n{what}\n'
    )


def _python_create(batch: Batch) -> str:
    more = f",\n    metadata={batch.metadata!r}" if batch.metadata else ""
    return (
        f"print(client.batches.create(\n    input_file_id={batch.input_file_id!r},\n    endpoint={batch.endpoint!r},\n"
        f"    completion_window={batch.completion_window!r},  # type: ignore\n"
        f"    extra_body={{'job_id': {str(batch.job.id)!r}}}{more},\n))"
    )
