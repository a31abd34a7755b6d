"""Launched engines: what is started, that it comes back, and that nothing is left behind."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import anyio
import pytest

from pronk.domain.engine import EngineSpec
from pronk.domain.errors import EngineError, SettingsError
from pronk.engines.client import Client
from pronk.engines.launch import Patience, Place, command_of, free_ports, gpus_of, is_given_media, launch

pytestmark = pytest.mark.anyio
ROOT = Path(__file__).parents[3]
FAKE = f"{sys.executable} -m tests.fakes.engine --outlive --port {{port}}"


def place(folder: Path, **environ: str) -> Place:
    return Place(folder=folder, environ={**os.environ, "PYTHONPATH": str(ROOT), **environ})


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def until_dead(process: int) -> None:
    """Wait for the end of a process that is known by a pidfd."""
    with anyio.fail_after(20):
        await anyio.wait_readable(process)
    os.close(process)


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[1])


async def until_answers(client: Client) -> None:
    with anyio.fail_after(20):
        while True:
            try:
                await client.get("/health", within=5)
            except EngineError:
                await anyio.lowlevel.checkpoint()
            else:
                return


def engine_pid(folder: Path) -> int:
    """Return the newest process that has said its number in the log."""
    return int((folder / "default-0.log").read_text().split("pid ")[-1].split()[0])


@pytest.mark.parametrize(
    ("spec", "command"),
    [
        (
            EngineSpec(launch="vllm", model="org/m", gpus=2),
            "vllm serve org/m --host 127.0.0.1 --port 9 --allowed-local-media-path /media --tensor-parallel-size 2",
        ),
        (
            EngineSpec(launch="sglang", model="m", gpus=1),
            f"{sys.executable} -m sglang.launch_server --model-path m --host 127.0.0.1 --port 9",
        ),
        (
            EngineSpec(launch="llama-server", model="a/b.gguf"),
            "llama-server --host 127.0.0.1 --port 9 --model a/b.gguf",
        ),
        (
            EngineSpec(launch="llama-server", model="org/m"),
            "llama-server --host 127.0.0.1 --port 9 -hf org/m",
        ),
        (
            EngineSpec(launch="bundled"),
            f"{sys.executable} -m pronk.engines.bundled --host 127.0.0.1 --port 9 --allowed-local-media-path /media",
        ),
        (EngineSpec(launch="my 'own thing' -p={port} {media_dir}"), "my own thing -p=9 /media"),
    ],
)
def test_what_is_started(spec: EngineSpec, command: str) -> None:
    place = Place(folder=Path("/logs"), environ={}, media_dir=Path("/media"))
    assert " ".join(command_of(spec, 9, place)) == command


@pytest.mark.parametrize(
    ("launch_as", "folder", "reads"),
    [
        ("vllm", "/media", True),
        ("bundled", "/media", True),
        ("bundled", None, False),
        ("sglang", "/media", False),
        ("own {port} {media_dir}", "/media", True),
        ("own {port}", "/media", False),
    ],
)
def test_who_may_read_the_pictures(launch_as: str, folder: str | None, *, reads: bool) -> None:
    place = Place(folder=Path(), environ={}, media_dir=Path(folder) if folder else None)
    assert is_given_media(EngineSpec(launch=launch_as), place) is reads


@pytest.mark.parametrize(
    ("launch_as", "message"),
    [("run {modle}", "known are port, host, model, media_dir"), ("vllm", "needs {model}")],
)
def test_a_command_that_cannot_be_is_refused(launch_as: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        command_of(EngineSpec(launch=launch_as), 9, Place(folder=Path(), environ={}))


def test_each_replica_has_its_gpus() -> None:
    spec = EngineSpec(launch="x", replicas=2, gpus=2)
    free, some = (
        Place(folder=Path(), environ={}),
        Place(folder=Path(), environ={"CUDA_VISIBLE_DEVICES": "4,5,6,7"}),
    )
    assert [gpus_of(spec, i, free) for i in range(2)] == ["0,1", "2,3"]
    assert [gpus_of(spec, i, some) for i in range(2)] == ["4,5", "6,7"]
    assert gpus_of(EngineSpec(launch="x"), 0, free) is None
    with pytest.raises(SettingsError, match="needs 4 GPUs; CUDA_VISIBLE_DEVICES has 1"):
        gpus_of(spec, 1, Place(folder=Path(), environ={"CUDA_VISIBLE_DEVICES": "0"}))


def test_rests_double_up_to_a_bound() -> None:
    assert [Patience().rest(n) for n in (1, 2, 3, 10)] == [1.0, 2.0, 4.0, 60.0]


def test_free_ports_differ() -> None:
    assert len(set(free_ports(20))) == 20


PRINTS_PID = f"{sys.executable} -c 'import os, sys; print(\"pid\", os.getpid(), flush=True); os.execv(sys.argv[1], sys.argv[1:])' {FAKE}"


async def test_a_replica_answers_is_restarted_and_is_gone_at_the_end(tmp_path: Path) -> None:
    spec = EngineSpec(launch=PRINTS_PID)
    rests: list[float] = []
    restarted = anyio.Event()

    async def sleep(seconds: float) -> None:
        rests.append(seconds)
        if seconds == 7.0:
            restarted.set()
        await anyio.sleep(0.01)

    patience = Patience(first_rest=7.0, stop=5.0)
    async with launch(
        spec, place(tmp_path), clock=time.monotonic, sleep=sleep, patience=patience
    ) as launched:
        await launched.wait_until_ready()
        first = engine_pid(tmp_path)
        client = Client(launched.urls[0])
        assert (await client.get("/health", within=5)).status == 200
        os.kill(first, signal.SIGKILL)
        await restarted.wait()
        await until_answers(client)
        second = engine_pid(tmp_path)
        assert is_alive(second)
    assert not is_alive(second)
    assert not is_alive(first)


async def test_what_never_starts_is_told_with_the_place_of_its_log(tmp_path: Path) -> None:
    spec = EngineSpec(launch="/nowhere/engine --port {port}")
    patience = Patience(first_rest=0.0)
    with pytest.raises(SettingsError, match=r"status 127.*default-0\.log"):
        async with launch(spec, place(tmp_path), clock=lambda: 0.0, patience=patience) as launched:
            await launched.wait_until_ready()
    assert "cannot start /nowhere/engine" in (tmp_path / "default-0.log").read_text()


LAUNCHER = """
import sys, time, anyio
from pathlib import Path
from pronk.domain.engine import EngineSpec
from pronk.engines.launch import Place, launch
import os
async def main():
    place = Place(folder=Path(sys.argv[1]), environ=dict(os.environ))
    async with launch(EngineSpec(launch=sys.argv[2]), place, clock=time.monotonic) as launched:
        await launched.wait_until_ready()
        print("ready", flush=True)
        await anyio.sleep_forever()
anyio.run(main)
"""


@pytest.mark.parametrize("victim", ["launcher", "guard"])
async def test_no_orphan_is_left_when_somebody_is_killed(tmp_path: Path, victim: str) -> None:
    environ = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"}
    command = [sys.executable, "-c", LAUNCHER, str(tmp_path), PRINTS_PID]
    async with await anyio.open_process(command, env=environ) as launcher:
        assert launcher.stdout is not None
        assert b"ready" in await launcher.stdout.receive()
        pid = engine_pid(tmp_path)
        engine = os.pidfd_open(pid)
        os.kill(launcher.pid if victim == "launcher" else parent_of(pid), signal.SIGKILL)
        await until_dead(engine)
        if victim == "guard":
            launcher.kill()


async def test_what_ignores_the_end_is_killed(tmp_path: Path) -> None:
    ignore = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    spec = EngineSpec(launch=PRINTS_PID.replace("import os, sys; ", "import os, sys; " + ignore))
    async with launch(spec, place(tmp_path), clock=time.monotonic, patience=Patience(stop=0.1)) as launched:
        await launched.wait_until_ready()
        pid = engine_pid(tmp_path)
    assert not is_alive(pid)
