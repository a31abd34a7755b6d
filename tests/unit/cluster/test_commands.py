"""What `pronk cluster` says where it cannot be, and what a server starts whose workers run on a cluster."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from pronk.app import cluster
from pronk.app.launching import launched
from pronk.cli.main import main
from pronk.cluster.plan import Member
from pronk.domain.errors import SettingsError
from pronk.settings import load

FILE = """
on_cluster = true
data_dir = "data"
[engines.qwen]
launch = "no-such-command --port {port}"
[engines.outside]
urls = ["http://gpu-1:8000/v1"]
[jobs.a]
engine = "qwen"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "pronk.toml"
    path.write_text(FILE)
    return path


@pytest.mark.skipif(importlib.util.find_spec("ray") is not None, reason="Ray is installed")
@pytest.mark.parametrize("command", ["up", "status", "down"])
def test_without_ray_it_says_what_to_install(
    command: str, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["cluster", command, *(["--config", str(config)] if command == "up" else [])])
    assert ended.value.code == 2
    assert "pip install 'pronk[ray]'" in capsys.readouterr().err


def test_settings_of_one_machine_are_refused(config: Path) -> None:
    config.write_text(FILE.replace("on_cluster = true", ""))
    with pytest.raises(SettingsError, match="write on_cluster = true"):
        cluster.up(load(config=config, environ={}), "auto")


def test_limits_that_contradict_each_other_are_refused(config: Path) -> None:
    with pytest.raises(
        SettingsError, match="cluster_max_workers is 2; it must be at least cluster_min_workers"
    ):
        load(config=config, environ={}, flags={"cluster_min_workers": "3", "cluster_max_workers": "2"})


@pytest.mark.anyio
async def test_a_server_beside_a_cluster_starts_neither_engines_nor_workers(config: Path) -> None:
    settings = load(config=config, environ={})
    async with launched(settings) as ready:
        assert ready.workers == 0
        assert (ready.engines["qwen"].launch, ready.engines["qwen"].urls) == (None, ())
        assert ready.engines["outside"] == settings.engines["outside"]


@pytest.mark.parametrize(
    ("member", "word"),
    [
        (Member(name="a"), "waiting for a place"),
        (Member(name="a", made_of="x"), "starting"),
        (Member(name="a", made_of="x", is_ready=True), "ready"),
        (Member(name="a", made_of="x", is_over=True), "ended"),
    ],
)
def test_the_state_of_an_actor_is_told_in_a_word(member: Member, word: str) -> None:
    assert cluster.state_of(member) == word
