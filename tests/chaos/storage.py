"""An S3 of the tests' own as the storage of server and workers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from tests.fakes.aws.server import Aws, open_aws

BUCKET = "pronk-storage"


@asynccontextmanager
async def s3_storage(monkeypatch: pytest.MonkeyPatch, aws: Aws | None = None) -> AsyncIterator[str]:
    """Give the URL of a bucket that this process and those it starts may use."""
    async with open_aws(aws) as running:
        key = running.new_user()
        running.new_bucket(BUCKET)
        values = {
            "AWS_ACCESS_KEY_ID": key.access_key,
            "AWS_SECRET_ACCESS_KEY": key.secret,
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL_S3": running.url,
        }
        for name, value in values.items():
            monkeypatch.setenv(name, value)
        yield f"s3://{BUCKET}/pronk"
