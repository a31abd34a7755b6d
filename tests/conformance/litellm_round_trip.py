"""The whole way of a batch with litellm, as a user of it writes it: ``python litellm_round_trip.py BASE_URL``."""

import io
import json
import sys
import time

import litellm


def main(base_url: str) -> None:
    """Upload, create, poll, list, download, cancel; print what came back as one JSON object."""
    where = {"custom_llm_provider": "openai", "api_base": f"{base_url}/v1", "api_key": "none"}
    lines = [
        {
            "custom_id": f"r-{number}",
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": {"model": "m", "messages": [{"role": "user", "content": str(number)}]},
        }
        for number in range(1, 4)
    ]
    data = io.BytesIO(b"".join(json.dumps(line).encode() + b"\n" for line in lines))
    data.name = "input.jsonl"
    file = litellm.create_file(file=data, purpose="batch", **where)
    batch = litellm.create_batch(
        completion_window="24h", endpoint="/v1/chat/completions", input_file_id=file.id, **where
    )
    while batch.status not in {"completed", "failed", "expired", "cancelled"}:
        time.sleep(0.1)
        batch = litellm.retrieve_batch(batch_id=batch.id, **where)
    answers = litellm.file_content(file_id=batch.output_file_id, **where).content.decode().splitlines()
    listed = litellm.list_batches(limit=5, **where)
    chat = litellm.completion(
        model="openai/m",
        api_base=f"{base_url}/v1",
        api_key="none",
        messages=[{"role": "user", "content": "now"}],
    )
    told = {
        "status": batch.status,
        "ids": [json.loads(answer)["custom_id"] for answer in answers],
        "listed": [found.id for found in listed.data] == [batch.id],
        "chat": chat.choices[0].message.content,
    }
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main(sys.argv[1])
