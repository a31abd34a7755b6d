"""Examples and patterns for the API's description."""

from __future__ import annotations

from typing import Any, Final

WINDOW_PATTERN: Final = (
    r"^(unlimited"
    r"|([1-9][0-9]{0,3}|[1-3][0-9]{4}|4[0-2][0-9]{3}|43[01][0-9]{2}|43200)m"
    r"|([1-9][0-9]?|[1-6][0-9]{2}|7[01][0-9]|720)h"
    r"|([1-9]|[12][0-9]|30)d)$"
)

FILENAME_PATTERN: Final = r"^[^\x00-\x1f\x7f]*[^\x00-\x1f\x7f/\\]$"
"""No control characters; the last step of a path is what counts, so it is not empty."""

FILE_ID: Final = "file-0196f3c2a1b4d5e6f7a8b9c0d1e"
BATCH_ID: Final = "batch_0196f3c2a1b4d5e6f7a8b9c0d1e"
MODEL: Final = "Qwen/Qwen3-VL-8B-Instruct"
_DAY: Final = 86_400
_CREATED: Final = 1_790_000_000

Example = dict[str, Any]

ERROR: Final[Example] = {
    "error": {
        "message": "No such file: 'file-123'.",
        "type": "invalid_request_error",
        "param": "input_file_id",
        "code": "not_found",
    }
}

FILE: Final[Example] = {
    "id": FILE_ID,
    "object": "file",
    "bytes": 20_480,
    "created_at": _CREATED,
    "expires_at": _CREATED + 30 * _DAY,
    "filename": "input.jsonl",
    "purpose": "batch",
    "status": "processed",
    "status_details": None,
}

IMPORT_FILE: Final[Example] = {"url": "s3://my-bucket/requests/input.jsonl", "purpose": "batch"}

CREATE_UPLOAD: Final[Example] = {
    "bytes": 20_480,
    "filename": "input.jsonl",
    "mime_type": "application/jsonl",
    "purpose": "batch",
}

COMPLETE_UPLOAD: Final[Example] = {"part_ids": ["part_0196f3c2a1b4d5e6f7a8b9c0d1e"]}

CREATE_BATCH: Final[Example] = {
    "input_file_id": FILE_ID,
    "endpoint": "/v1/chat/completions",
    "completion_window": "unlimited",
    "job_id": "job-sort-parts",
    "metadata": {"run": "42"},
}

ANOTHER_RUN: Final[Example] = {"completion_window": "24h", "metadata": {"run": "43"}}

CHECK_BATCH: Final[Example] = {
    "input_file_id": FILE_ID,
    "endpoint": "/v1/chat/completions",
    "job_id": "job-sort-parts",
}

CREATE_WEBHOOK: Final[Example] = {"url": "https://example.org/pronk", "events": ["batch.completed"]}

BATCH: Final[Example] = {
    "id": BATCH_ID,
    "object": "batch",
    "endpoint": "/v1/chat/completions",
    "model": MODEL,
    "errors": None,
    "input_file_id": FILE_ID,
    "completion_window": "unlimited",
    "status": "in_progress",
    "output_file_id": None,
    "error_file_id": None,
    "created_at": _CREATED,
    "in_progress_at": _CREATED + 1,
    "expires_at": None,
    "finalizing_at": None,
    "completed_at": None,
    "failed_at": None,
    "expired_at": None,
    "cancelling_at": None,
    "cancelled_at": None,
    "request_counts": {"total": 2, "completed": 1, "failed": 0},
    "usage": {
        "input_tokens": 812,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 12,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 824,
    },
    "metadata": {"run": "42"},
    "job_id": "job-sort-parts",
    "processing_cost": 0.000086,
}

RESULT: Final[Example] = {
    "id": f"batch_req_{BATCH_ID.removeprefix('batch_')}_1",
    "custom_id": "req-1",
    "response": {"status_code": 200, "request_id": "req_1", "body": {"object": "chat.completion"}},
    "error": None,
}

CREATE_KEY: Final[Example] = {"name": "nightly labels", "scopes": ["write"]}

CREATE_PROJECT: Final[Example] = {
    "name": "vision",
    "limits": {"max_live_batches": 20},
    "allow": ["s3://vision/*", "s3://shared/vision/*"],
}

CREATE_JOB: Final[Example] = {
    "model": MODEL,
    "engine": "default",
    "use_case": "sort part pictures into categories",
    "completion_window": "unlimited",
    "defaults": {"temperature": 0.0, "max_tokens": 64},
    "price": {"input_per_1m": 0.1, "output_per_1m": 0.4},
    "media": {"allow": ["s3://parts/*"]},
}

JOB: Final[Example] = {
    **CREATE_JOB,
    "id": "job-sort-parts",
    "object": "job",
    "created_at": _CREATED,
    "source": "api",
    "priority": 0,
    "price": {"input_per_1m": 0.1, "output_per_1m": 0.4, "cached_input_per_1m": None},
    "media": {
        "allow": ["s3://parts/*"],
        "deliver": "auto",
        "max_bytes": 20_000_000,
        "max_pixels": 50_000_000,
        "max_references": 500,
        "resize_to_pixels": 0,
        "document_dpi": 150,
    },
    "output": None,
    "output_of_others": False,
    "shared_with": None,
}

CHAT: Final[Example] = {
    "model": MODEL,
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "image_url", "image_url": {"url": "s3://parts/img_76121.png"}},
                {"type": "text", "text": "Which category is this part?"},
            ],
        }
    ],
}
