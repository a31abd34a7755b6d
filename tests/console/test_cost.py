"""What open pages cost a batch that runs at full speed: its time with and without them, turn about.

On a machine that does nothing else, as all that is measured at full size; what server and worker took of the CPU is told beside it.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from statistics import median

import httpx2
import msgspec
import pytest
from bench.inputs import text_file
from bench.instant import instant
from bench.measure import children, cpu_seconds
from bench.product import Product, product

pytestmark = pytest.mark.scale
LINES = 200_000
PAIRS = 5
MOST = 0.03
GRID_SECONDS = 1.5
COUNTS_SECONDS = 10


class Cost(msgspec.Struct, frozen=True):
    """Seconds that a batch took, and the CPU meanwhile of server, worker, and the child that reads lines."""

    seconds: float
    server: float
    worker: float
    child: float

    @property
    def share(self) -> float:
        """What the server took of a core."""
        return self.server / self.seconds


def spent(server: Product) -> tuple[float, float, float]:
    """Return the CPU so far of the server, its worker, and its child of the lowest priority, if it has one."""
    worker = server.worker
    rest = [pid for pid in children(server.process.pid) if pid != worker]
    return cpu_seconds(server.process.pid), cpu_seconds(worker), sum(map(cpu_seconds, rest))


@contextmanager
def looking(url: str, batch: str) -> Iterator[list[int]]:
    """Have the list, the batch and its results open as browsers do: the same streams, the same requests; gives how many events came."""
    over, came = threading.Event(), [0]

    def follow(path: str, live: str) -> None:
        with httpx2.Client(base_url=url, timeout=60, headers={"accept": "text/html"}) as http:
            http.get(path)
            with http.stream("GET", live) as answer:
                for text in answer.iter_lines():
                    came[0] += text.startswith("data:")
                    if over.is_set():
                        return

    def walk() -> None:
        base, version, counted = f"/batches/{batch}", "", 0.0
        with httpx2.Client(base_url=url, timeout=60, headers={"accept": "text/html"}) as http:
            http.get(f"{base}/results")
            while not over.wait(GRID_SECONDS):
                fresh = http.get(f"{base}/rows?at=0&n=0").headers["x-version"]
                if fresh == version:
                    continue
                version = fresh
                http.get(f"{base}/rows?at=0&n=60")
                if time.monotonic() - counted >= COUNTS_SECONDS:
                    counted = time.monotonic()
                    http.get(f"{base}/facets")

    threads = [
        threading.Thread(target=follow, args=("/", "/live/batches"), daemon=True),
        threading.Thread(target=follow, args=(f"/batches/{batch}", f"/batches/{batch}/live"), daemon=True),
        threading.Thread(target=walk, daemon=True),
    ]
    for thread in threads:
        thread.start()
    yield came
    over.set()


def cost_of(server: Product, file: str, *, is_open: bool) -> Cost:
    """Run a batch to its end; the rest of its lines that pages want is waited for, and not counted."""
    before, began = spent(server), time.monotonic()
    batch = server.create(file)["id"]
    with looking(server.url, batch) if is_open else nullcontext([2]) as came:
        until(lambda: server.client.get(f"/v1/batches/{batch}")["status"] == "completed")
        seconds, after = time.monotonic() - began, spent(server)
    assert came[0] >= 2
    if is_open:
        with httpx2.Client(base_url=server.url, timeout=60) as http:
            until(lambda: http.get(f"/batches/{batch}/rows?n=0").headers["x-whole"] == "1")
    return Cost(seconds, *(now - then for now, then in zip(after, before, strict=True)))


def until(holds: Callable[[], bool]) -> None:
    """Ask often enough to see the end, with and without pages alike."""
    rest, end = threading.Event(), time.monotonic() + 300
    while not holds():
        assert time.monotonic() < end, "it never happened"
        rest.wait(0.03)


def test_open_pages_cost_a_batch_less_than_three_hundredths_of_its_throughput(tmp_path: Path) -> None:
    """List, batch and results are open together; what the server takes by the second without them is taken off."""
    file = text_file(tmp_path / "in.jsonl", LINES)
    pairs: list[dict[bool, Cost]] = []
    with instant() as engine, product(tmp_path / "server", engine.engine, max_lines=str(LINES)) as server:
        file_id = server.upload(file)
        cost_of(server, file_id, is_open=True), cost_of(server, file_id, is_open=False)
        for pair in range(PAIRS):
            order = ((True, False), (False, True))[pair % 2]
            pairs.append({is_open: cost_of(server, file_id, is_open=is_open) for is_open in order})
    server_share = median(pair[True].share - pair[False].share for pair in pairs)
    child_share = median(pair[True].child / pair[True].seconds for pair in pairs)
    worker = median(pair[True].worker / pair[False].worker for pair in pairs)
    ratios = [pair[False].seconds / pair[True].seconds for pair in pairs]
    sys.stdout.write(
        f"\nopen pages take {server_share:.4f} of a core of the server, {child_share:.4f} of its child; with pages open / without: "
        f"worker's CPU {worker:.3f}, throughput {median(ratios):.3f} ({', '.join(f'{one:.3f}' for one in ratios)})\n"
    )
    assert median(ratios) >= 1 - MOST
