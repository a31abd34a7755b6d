"""What every test shares."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterator
from typing import Any

import anyio
import pytest
import structlog
from tests.store.databases import cluster, database_url, opener

__all__ = ["anyio_backend", "cluster", "database_url", "opener"]


_configure = structlog.configure


def _configure_for_now(**settings: Any) -> None:
    """Loggers keep no settings: the next test may make others, or look at what is logged."""
    _configure(**{**settings, "cache_logger_on_first_use": False})


structlog.configure = _configure_for_now  # type: ignore[assignment]


@pytest.fixture(autouse=True, scope="module")
def _logs_of_a_module() -> Iterator[None]:
    yield from _logs_as_they_were()


@pytest.fixture(autouse=True)
def _logs_of_a_test() -> Iterator[None]:
    yield from _logs_as_they_were()


def _logs_as_they_were() -> Iterator[None]:
    before = structlog.get_config()
    yield
    structlog.configure(**before)


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": True}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """End a coroutine that waits for ever from inside its loop, a little before the whole run is ended for it.

    uvloop keeps to itself what a signal handler raises, so the plugin's alarm cannot fail a single test.
    """
    for item in items:
        if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.obj):
            marker = item.get_closest_marker("timeout")
            seconds = float(marker.args[0] if marker else config.getini("timeout"))
            item.obj = _within(item.obj, 0.9 * seconds)


def _within(test: Any, seconds: float) -> Any:
    @functools.wraps(test)
    async def limited(*args: Any, **values: Any) -> None:
        with anyio.fail_after(seconds):
            await test(*args, **values)

    return limited
