"""The commands of the first-batch guide, as they stand there, with plain curl."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.conformance.server import Server

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")

REQUEST = {
    "model": "your-model",
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "image_url", "image_url": {"url": "s3://good/parts/img_76121.png"}},
                {"type": "text", "text": "Cluster the image to its matching category."},
            ],
        }
    ],
}
UPLOAD = """curl -sS -X POST "$BASE_URL/v1/files" \\
  -F "purpose=batch" \\
  -F "file=@input.jsonl"
"""
CREATE = """curl -sS -X POST "$BASE_URL/v1/batches" \\
  -H "Content-Type: application/json" \\
  -d '{
    "input_file_id": "file-abc123",
    "endpoint": "/v1/chat/completions",
    "completion_window": "unlimited",
    "job_id": "job-default"
  }'
"""
LOOK = 'curl -sS "$BASE_URL/v1/batches/$BATCH_ID"'
FETCH = 'curl -sS "$BASE_URL/v1/files/$FILE_ID/content" -o output.jsonl'


def shell(command: str, folder: Path, **variables: str) -> str:
    done = subprocess.run(
        ["sh", "-c", command], cwd=folder, env={"PATH": "/usr/bin:/bin", **variables}, capture_output=True, check=True, text=True
    )  # fmt: skip
    return done.stdout


def test_the_guide(server: Server, tmp_path: Path) -> None:
    with (tmp_path / "input.jsonl").open("w") as file:
        for number in (1, 2):
            line = {
                "custom_id": f"req-{number}",
                "method": "POST",
                "url": "/v1/chat/completions",
                "body": REQUEST,
            }
            file.write(json.dumps(line) + "\n")
    base = {"BASE_URL": server.url}
    uploaded = json.loads(shell(UPLOAD, tmp_path, **base))
    assert (uploaded["filename"], uploaded["purpose"]) == ("input.jsonl", "batch")
    batch = json.loads(shell(CREATE.replace("file-abc123", uploaded["id"]), tmp_path, **base))
    assert (batch["completion_window"], batch["job_id"]) == ("unlimited", "job-default")
    while batch["status"] != "completed":
        batch = json.loads(shell(LOOK, tmp_path, BATCH_ID=batch["id"], **base))
    shell(FETCH, tmp_path, FILE_ID=batch["output_file_id"], **base)
    results = [json.loads(text) for text in (tmp_path / "output.jsonl").read_text().splitlines()]
    assert [result["custom_id"] for result in results] == ["req-1", "req-2"]
    assert all(result["response"]["status_code"] == 200 and result["error"] is None for result in results)


def test_a_large_upload_waits_for_100_continue(server: Server, tmp_path: Path) -> None:
    (tmp_path / "input.jsonl").write_bytes(b"x" * 3_000_000)
    command = UPLOAD.replace("curl -sS", "curl -sSv")
    done = subprocess.run(
        ["sh", "-c", command], cwd=tmp_path, env={"PATH": "/usr/bin:/bin", "BASE_URL": server.url}, capture_output=True, check=True
    )  # fmt: skip
    assert b"< HTTP/1.1 100 Continue" in done.stderr
    assert json.loads(done.stdout)["bytes"] == 3_000_000


def test_a_body_without_a_content_type(server: Server, tmp_path: Path) -> None:
    told = json.loads(
        shell(CREATE.replace('  -H "Content-Type: application/json" \\\n', ""), tmp_path, BASE_URL=server.url)
    )
    assert "Content-Type: application/json" in told["error"]["message"]
    found = json.loads(shell(CREATE.replace("application/json", ""), tmp_path, BASE_URL=server.url))
    assert found["error"]["code"] == "not_found"
