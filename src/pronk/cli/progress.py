"""Progress on standard error: bars on a terminal, now and then a plain line otherwise."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from pronk.cli.show import size
from pronk.domain.batch import Counts

if TYPE_CHECKING:
    from rich.progress import Progress

SECONDS_BETWEEN_LINES: Final = 5.0


@contextmanager
def transfer(label: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Show bytes on their way; yields what must hear of each piece's size."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    with _transfer_bar() as bar:
        task = bar.add_task(label, total=total)
        yield lambda count: bar.advance(task, count)


def _transfer_bar() -> Progress:
    from rich import progress
    from rich.console import Console

    return progress.Progress(
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.DownloadColumn(),
        progress.TransferSpeedColumn(),
        progress.TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )


class BatchProgress:
    """A batch as it goes; a context manager around `show`."""

    def __init__(self, label: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._label = label
        self._clock = clock
        self._bar = _batch_bar() if sys.stderr.isatty() or is_notebook() else None
        self._task = self._bar.add_task(label, total=None, status="", failed="") if self._bar else None
        self._said: tuple[str, Counts] | None = None
        self._said_at = 0.0

    def __enter__(self) -> Self:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()

    def show(self, status: str, counts: Counts) -> None:
        """Take in where the batch stands."""
        if self._bar is not None and self._task is not None:
            done = counts.completed + counts.failed
            failed = f"[red]{counts.failed} failed[/]" if counts.failed else ""
            self._bar.update(
                self._task, total=counts.total or None, completed=done, status=str(status), failed=failed
            )
        else:
            self._say(str(status), counts)

    def _say(self, status: str, counts: Counts) -> None:
        if self._said == (status, counts):
            return
        is_news = self._said is None or self._said[0] != status
        if is_news or self._clock() - self._said_at >= SECONDS_BETWEEN_LINES:
            self._said, self._said_at = (status, counts), self._clock()
            print(f"{self._label}: {describe(status, counts)}", file=sys.stderr, flush=True)


def is_notebook() -> bool:
    """Whether this is the kernel of a notebook, whose standard error is no terminal and still shows bars."""
    from importlib import import_module

    if "IPython" not in sys.modules:
        return False
    shell = import_module("IPython").get_ipython()
    return hasattr(shell, "kernel")


def _batch_bar() -> Progress:
    from rich import progress
    from rich.console import Console

    return progress.Progress(
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TextColumn("{task.fields[status]} {task.fields[failed]}"),
        progress.TimeElapsedColumn(),
        console=Console(stderr=True),
    )


def describe(status: str, counts: Counts) -> str:
    """Return one line about a batch."""
    if not counts.total:
        return status
    failed = f", {counts.failed} failed" if counts.failed else ""
    return f"{status}, {counts.completed + counts.failed} of {counts.total} done{failed}"


def sent(label: str, count: int) -> None:
    """Say that `count` bytes went."""
    print(f"{label} ({size(count)})", file=sys.stderr)
