"""Chaos without long waits: tests that use `impatient` wait milliseconds where workers wait seconds."""

from __future__ import annotations

import pytest
from tests.worker.conftest import both_databases

from pronk.worker import patience

__all__ = ["both_databases", "impatient"]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "FIRST_DELAY", 0.001)
    monkeypatch.setattr(patience, "MAX_DELAY", 0.004)
