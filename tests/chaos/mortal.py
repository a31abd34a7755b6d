"""Real worker processes that can be killed by the hundred: forked from one that has imported everything.

``python -m tests.chaos.mortal`` reads a line of JSON (`Life`) for each worker on standard input, runs ``pronk worker`` in a fork
and answers with its process number at once and with how it ended. A life may name a crash point: the worker is then killed with
SIGKILL when it passes that point for the nth time. Every durable write has a point before and one after it, because points are
made here of the calls themselves: each transaction that writes, by its statements, and each call that changes storage, by what
it does and where. Production code has no switch for it.
"""

from __future__ import annotations

import ctypes
import os
import selectors
import shutil
import signal
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec


class Life(msgspec.Struct, frozen=True):
    """One worker: its settings as JSON, where it dies, and where it writes down the points that it passes."""

    settings: str
    point: str = ""
    pass_number: int = 1
    record: str = ""
    log: str = os.devnull


class Reaper:
    """Kills this process at a point."""

    def __init__(self, life: Life) -> None:
        self._life = life
        self._passed: Counter[str] = Counter()
        self._lock = threading.Lock()

    def reach(self, point: str) -> None:
        """Note that the process is here; it may end here."""
        with self._lock:
            self._passed[point] += 1
            if self._life.record:
                with Path(self._life.record).open("a") as record:
                    record.write(point + "\n")
            if point == self._life.point and self._passed[point] == self._life.pass_number:
                os.kill(os.getpid(), signal.SIGKILL)

    def around(self, call: Callable[..., Any], name: Callable[..., str]) -> Callable[..., Any]:
        """Return `call` with a point before and after it."""

        def mortal(*arguments: Any, **values: Any) -> Any:
            what = name(*arguments)
            if not what:
                return call(*arguments, **values)
            self.reach(f"{what} before")
            answer = call(*arguments, **values)
            self.reach(f"{what} after")
            return answer

        return mortal


class _Named:
    """A transaction that remembers the statements that write."""

    def __init__(self, transaction: Any, names: list[str]) -> None:
        self._transaction = transaction
        self._names = names

    def __getattr__(self, verb: str) -> Any:
        def call(query: str, *arguments: Any, **values: Any) -> Any:
            if not query.startswith(("find", "get", "list", "pick", "lock", "ping", "count_workers")):
                self._names.append(query)
            return getattr(self._transaction, verb)(query, *arguments, **values)

        return call


def put_points(reaper: Reaper) -> None:
    """Put a point before and after everything that lasts."""
    import obstore

    from pronk import blobs
    from pronk.store.postgres import PostgresDatabase
    from pronk.store.sqlite import SqliteDatabase

    _points_of(SqliteDatabase, "_write", reaper)
    _points_of(PostgresDatabase, "_transact", reaper)
    for module, call in (
        (os, "fsync"),
        (Path, "replace"),
        (Path, "mkdir"),
        (Path, "unlink"),
        (shutil, "rmtree"),
    ):
        setattr(
            module,
            call,
            reaper.around(getattr(module, call), lambda first, *_, call=call: _where(call, first)),
        )
    blobs._write_all = reaper.around(
        _torn(reaper, blobs._write_all), lambda file, _: _where("write", file.fileno())
    )
    obstore.put_async = _awaited(reaper, obstore.put_async)


def _points_of(database: type, method: str, reaper: Reaper) -> None:
    transact = getattr(database, method)

    def mortal(self: Any, *arguments: Any) -> Any:
        names: list[str] = []
        *rest, work = arguments

        def named(tx: Any) -> Any:
            answer = work(_Named(tx, names))
            if names:
                reaper.reach(f"{_told(names)} before")
            return answer

        answer = transact(self, *rest, named)
        if names:
            reaper.reach(f"{_told(names)} after")
        return answer

    setattr(database, method, mortal)


def _told(names: list[str]) -> str:
    return "commit " + "+".join(dict.fromkeys(names))


def _torn(reaper: Reaper, write_all: Callable[..., None]) -> Callable[..., None]:
    """Write in two halves, so that a process may die in between."""

    def write(file: Any, data: bytes) -> None:
        half = len(data) // 2
        write_all(file, data[:half])
        reaper.reach(f"{_where('write', file.fileno())} half")
        write_all(file, data[half:])

    return write


def _awaited(reaper: Reaper, put: Callable[..., Any]) -> Callable[..., Any]:
    async def mortal(store: Any, name: str, data: bytes) -> Any:
        reaper.reach(f"put {name.partition('/')[0]} before")
        answer = await put(store, name, data)
        reaper.reach(f"put {name.partition('/')[0]} after")
        return answer

    return mortal


def _where(call: str, first: Any) -> str:
    """Return what a call does to the storage, empty for one that is about something else."""
    path = Path(f"/proc/self/fd/{first}").readlink() if isinstance(first, int) else Path(first)
    steps = path.parts
    if "blobs" not in steps:
        return ""
    inside = steps[steps.index("blobs") + 1 :]
    kind = inside[0] if inside else "root"
    return f"{call} {kind}{' folder' if path.suffix == '' and kind == 'journals' else ''}"


def _live(life: Life) -> None:
    from pronk.app.work import work
    from pronk.settings import Settings

    sink = os.open(life.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(sink, 1)
    os.dup2(sink, 2)
    put_points(Reaper(life))
    work(Settings.from_json(life.settings.encode()))


def main() -> None:
    """Fork a worker for each line; tell of its birth and of its end. There is one thread, so that a fork is whole."""
    import pronk.app.work
    import pronk.store.postgres  # noqa: F401

    waiting = selectors.DefaultSelector()
    waiting.register(0, selectors.EVENT_READ)
    rest = b""
    while True:
        for key, _ in waiting.select():
            if key.fd:
                waiting.unregister(key.fd)
                os.close(key.fd)
                _tell("dead", key.data, os.waitpid(key.data, 0)[1])
                continue
            data = os.read(0, 1 << 20)
            if not data:
                return
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                pid = _bear(msgspec.json.decode(line, type=Life))
                waiting.register(os.pidfd_open(pid), selectors.EVENT_READ, pid)
                _tell("born", pid)


def _bear(life: Life) -> int:
    pid = os.fork()
    if pid:
        return pid
    _end_with_parent()
    code = 1
    try:
        _live(life)
        code = 0
    finally:
        os._exit(code)


def _end_with_parent() -> None:
    """Have the kernel kill this process when the one that forked it dies, however that comes about: see prctl(2)."""
    set_parent_death_signal = 1
    ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)


def _tell(word: str, pid: int, code: int = 0) -> None:
    os.write(1, f"{word} {pid} {code}\n".encode())


if __name__ == "__main__":
    main()
