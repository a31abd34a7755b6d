"""A Postgres of the tests' own: one server for the run, one schema for each test."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import psycopg

_ALWAYS = "-c max_connections=400 -c listen_addresses=127.0.0.1"
_QUICK = "-c fsync=off -c synchronous_commit=off -c full_page_writes=off"


def is_installed() -> bool:
    return all(map(shutil.which, ("initdb", "pg_ctl")))


class Cluster:
    """A running server; without `is_durable` it forgets what it said when the machine fails."""

    def __init__(self, folder: Path, *, is_durable: bool = False) -> None:
        self._options = _ALWAYS if is_durable else f"{_ALWAYS} {_QUICK}"
        self._folder = folder / "data"
        self._log = folder / "log"
        self._port = _free_port()
        self._numbers = count(1)

    def url(self, schema: str = "public") -> str:
        return f"postgresql://pronk@127.0.0.1:{self._port}/postgres?options=-csearch_path%3D{schema}"

    def make_schema(self) -> str:
        """Return the URL of a new schema, which is to a store what a new database is, and much quicker made."""
        name = f"test_{next(self._numbers)}"
        self._tell(f"CREATE SCHEMA {name}")
        return self.url(name)

    def drop_schema(self, url: str) -> None:
        self._tell(f"DROP SCHEMA {url.rpartition('%3D')[2]} CASCADE")

    def dump(self, url: str, to: Path) -> None:
        """Write what a schema held at one moment into a file, while others go on."""
        schema = url.rpartition("%3D")[2]
        subprocess.run(["pg_dump", "--format=custom", f"--schema={schema}", f"--file={to}", url], check=True)

    def restore(self, dump: Path, url: str) -> str:
        """Make a database of its own from the dump of a schema; return the schema's URL in it."""
        name = f"restored_{next(self._numbers)}"
        self._tell(f"CREATE DATABASE {name}")
        there = url.replace("/postgres?", f"/{name}?")
        subprocess.run(["pg_restore", "--exit-on-error", f"--dbname={there}", str(dump)], check=True)
        return there

    def start(self) -> None:
        options = f"-p {self._port} -k '' {self._options}"
        self._run("pg_ctl", "start", "-w", "-D", str(self._folder), "-l", str(self._log), "-o", options)

    def stop(self, mode: str = "immediate") -> None:
        self._run("pg_ctl", "stop", "-w", "-D", str(self._folder), "-m", mode)

    def prepare(self) -> None:
        self._run("initdb", "-D", str(self._folder), "-U", "pronk", "-A", "trust", "-E", "UTF8", "--no-sync")
        self.start()

    def _tell(self, statement: str) -> None:
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(statement.encode())

    def _run(self, *command: str) -> None:
        subprocess.run(
            [*_as_somebody(), *command],
            check=True,
            cwd=self._folder.parent,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
        )


@contextmanager
def running_cluster(folder: Path, *, is_durable: bool = False) -> Iterator[Cluster]:
    """Run a server in `folder` for the block."""
    if os.getuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
    cluster = Cluster(folder, is_durable=is_durable)
    cluster.prepare()
    try:
        yield cluster
    finally:
        cluster.stop()


def _as_somebody() -> list[str]:
    """Postgres refuses to be run by root."""
    if os.getuid() != 0:
        return []
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
