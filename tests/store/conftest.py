"""An open store on each database."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from tests.store.databases import Opener
from tests.store.scenes import opened

from pronk.store.store import Store


@pytest.fixture
async def store(opener: Opener) -> AsyncIterator[Store]:
    async with opened(opener()) as store:
        yield store
