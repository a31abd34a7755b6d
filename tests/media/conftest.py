"""What the tests of media share: one event loop whose connections can be watched, and markers for what takes long."""

from __future__ import annotations

import pytest

_OPT_IN = {
    "fuzz": "ten minutes of random bodies and pictures; run with -m fuzz",
    "swift": "needs OpenStack Swift in .swift (scripts/setup-swift); make test-stores runs it",
    "azurite": "needs npm and a network to install Azurite; make test-stores runs it",
}


def pytest_configure(config: pytest.Config) -> None:
    for name, text in _OPT_IN.items():
        config.addinivalue_line("markers", f"{name}: {text}")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is opted into, unless the marker expression names it."""
    asked = str(config.getoption("markexpr"))
    unasked = [name for name in _OPT_IN if name not in asked]
    left_out = [item for item in items if any(item.get_closest_marker(name) for name in unasked)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """Plain asyncio: its connections raise audit events, uvloop's do not."""
    return "asyncio", {"use_uvloop": False}
