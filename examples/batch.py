"""The whole way of one batch with the official SDK: upload, create, poll, download.

python examples/batch.py http://127.0.0.1:8000/v1 examples/input.jsonl
"""

import sys
import time
from pathlib import Path

from openai import OpenAI

ENDED = {"completed", "failed", "expired", "cancelled"}


def main(base_url: str, path: str) -> None:
    """Run the requests of one file and print what comes back, answers first."""
    client = OpenAI(base_url=base_url, api_key="none")
    file = client.files.create(file=Path(path), purpose="batch")
    batch = client.batches.create(
        input_file_id=file.id,
        endpoint="/v1/chat/completions",
        completion_window="unlimited",  # type: ignore[arg-type]  # OpenAI has only 24h
        extra_body={"job_id": "job-xxxxxxxx"},
    )
    while batch.status not in ENDED:
        time.sleep(1)
        batch = client.batches.retrieve(batch.id)
        print(batch.id, batch.status, batch.request_counts, file=sys.stderr)
    for file_id in filter(None, (batch.output_file_id, batch.error_file_id)):
        sys.stdout.write(client.files.content(file_id).text)


if __name__ == "__main__":
    main(*sys.argv[1:])
