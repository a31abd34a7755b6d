"""What people use instead: the official SDK in threads, alone or with boto3, and Ray Data's HTTP processor.

``python -m bench.peers sdk FILE ENGINE --output OUT`` prints one line of JSON. It imports nothing of pronk, so that Ray may run it in
an environment of its own (``--ray PYTHON`` of ``python -m bench``).
"""

from __future__ import annotations

import argparse
import base64
import json
import resource
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

THREADS = 64


def bodies(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield custom_id and body of each request."""
    with file.open("rb") as source:
        for line in source:
            request = json.loads(line)
            yield request["custom_id"], request["body"]


def sdk(file: Path, engine: str, output: Path) -> int:
    """Run the official SDK in threads, and boto3 for what the requests name."""
    import openai  # noqa: PLC0415  # each peer needs its own alone

    client = openai.OpenAI(base_url=engine, api_key="none", max_retries=0, timeout=600)
    fetch = _fetcher()

    def one(request: tuple[str, dict[str, Any]]) -> str:
        custom_id, body = request
        inline(body, fetch)
        answer = client.chat.completions.create(**body)
        return json.dumps({"custom_id": custom_id, "response": answer.model_dump()})

    count = 0
    with ThreadPoolExecutor(THREADS) as pool, output.open("w") as sink:
        for line in pool.map(one, bodies(file)):
            sink.write(line + "\n")
            count += 1
    return count


def inline(body: dict[str, Any], fetch: Callable[[str, str], bytes]) -> None:
    """Put what ``s3://`` references name into a body."""
    for message in body["messages"]:
        if isinstance(message["content"], str):
            continue
        for part in message["content"]:
            if part["type"] == "image_url" and part["image_url"]["url"].startswith("s3://"):
                bucket, _, key = part["image_url"]["url"][5:].partition("/")
                data = base64.b64encode(fetch(bucket, key)).decode()
                part["image_url"]["url"] = f"data:image/jpeg;base64,{data}"


def _fetcher() -> Callable[[str, str], bytes]:
    found: list[Any] = []

    def fetch(bucket: str, key: str) -> bytes:
        if not found:
            import boto3  # noqa: PLC0415  # each peer needs its own alone
            from botocore.config import Config  # noqa: PLC0415  # each peer needs its own alone

            style = {"addressing_style": "path"}
            found.append(boto3.client("s3", config=Config(s3=style, max_pool_connections=THREADS)))
        data: bytes = found[0].get_object(Bucket=bucket, Key=key)["Body"].read()
        return data

    return fetch


def ray(file: Path, engine: str, output: Path) -> int:
    """Run Ray Data's HTTP processor on the file."""
    import ray.data  # noqa: PLC0415  # each peer needs its own alone
    from ray.data.llm import (  # noqa: PLC0415  # as above
        HttpRequestProcessorConfig,
        build_processor,
    )

    ray.data.DataContext.get_current().enable_progress_bars = False
    config = HttpRequestProcessorConfig(
        url=f"{engine}/chat/completions",
        headers={"Authorization": "Bearer none"},
        batch_size=64,
        concurrency=2,
    )
    processor = build_processor(
        config,
        preprocess=lambda row: {"payload": row["body"], "custom_id": row["custom_id"]},
        postprocess=lambda row: {"custom_id": row["custom_id"], "response": json.dumps(row["http_response"])},
    )
    rows = [{"custom_id": custom_id, "body": body} for custom_id, body in bodies(file)]
    done = processor(ray.data.from_items(rows, override_num_blocks=64))
    done.write_json(str(output) + ".d")
    return len(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("peer", choices=("sdk", "ray"))
    parser.add_argument("file", type=Path)
    parser.add_argument("engine")
    parser.add_argument("--output", type=Path, required=True)
    given = parser.parse_args()
    began, cpu = time.monotonic(), time.process_time()
    count = {"sdk": sdk, "ray": ray}[given.peer](given.file, given.engine, given.output)
    seconds, cpu = time.monotonic() - began, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"requests": count, "seconds": seconds, "cpu": cpu, "peak_mib": peak}), flush=True)


if __name__ == "__main__":
    main()
