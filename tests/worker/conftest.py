"""Tests that use the `both_databases` run once on each."""

from __future__ import annotations

import pytest
from tests.store.databases import Opener
from tests.worker import world


@pytest.fixture
def both_databases(opener: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world, "open_database", lambda _: opener())
