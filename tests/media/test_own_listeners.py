"""Parts of our own are out of reach of references, whatever the operator has opened around them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.fakes.web import Canary, watched_sockets
from tests.media.attack import REFUSED, WARY, refusals
from tests.media.world import open_world

from pronk.app.own import own_addresses
from pronk.domain.engine import EngineSpec
from pronk.settings import Secret, Settings

pytestmark = pytest.mark.anyio

ALL_NETWORKS = ("127.0.0.0/8", "0.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::/0")
Own = Callable[[Canary], Awaitable[tuple[tuple[str, int], ...]]]
HERE = ("127.0.0.1", "127.9.9.9", "[::1]", "[::ffff:127.0.0.1]", "localhost", "0.0.0.0", "inner.test")  # noqa: S104

SELVES: dict[str, dict[str, Any]] = {
    "API on one address": {"host": "127.0.0.1"},
    "API on every address": {"host": "0.0.0.0"},  # noqa: S104
    "API on every address of both kinds": {"host": "::"},
    "API by name": {"host": "localhost"},
    "engine": {"engines": {"default": EngineSpec(urls=("http://127.0.0.1:{port}/v1",))}},
    "engine that Ray serves": {"engines": {"default": EngineSpec(urls=("http://localhost:{port}/llm/v1",))}},
    "database": {"database": "postgresql://me:hunter2@127.0.0.1:{port}/pronk"},
}


def _settings(folder: Path, what: str, port: int) -> Settings:
    given = dict(SELVES[what])
    if "host" in given:
        given["port"] = port
    if "database" in given:
        given["database"] = Secret(str(given["database"]).replace("{port}", str(port)))
    if "engines" in given:
        spec = given["engines"]["default"]
        urls = tuple(url.replace("{port}", str(port)) for url in spec.urls)
        given["engines"] = {"default": msgspec.structs.replace(spec, urls=urls)}
    return Settings(**{"data_dir": folder, "database": Secret(""), "storage": "", **given})


async def _reached(own: Own | None, patch: pytest.MonkeyPatch) -> tuple[dict[str, object], list[str]]:
    """Ask for every spelling of this machine; return the answers that are no refusals, and who was connected to."""
    web = msgspec.structs.replace(WARY, allow_private=ALL_NETWORKS)
    async with open_world(patch, web=web, own=own) as world:
        for name in ("localhost", "inner.test"):
            world.names.add(name, ["127.0.0.1"])
        references = [f"http://{host}:{{port}}/a.png" for host in HERE]
        with watched_sockets() as seen:
            wrong = await refusals(world, references, REFUSED)
        return wrong, [event for event in seen if event.startswith("connect")]


@pytest.mark.parametrize("what", SELVES)
async def test_own_parts_are_refused_though_their_networks_are_open(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def own(canary: Canary) -> tuple[tuple[str, int], ...]:
        return await own_addresses(_settings(tmp_path, what, canary.port))

    assert await _reached(own, monkeypatch) == ({}, [])


async def test_without_such_a_part_the_same_references_arrive(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong, connected = await _reached(None, monkeypatch)
    assert len(wrong) > 2
    assert connected
