"""The generating process: one thread, one pipeline, one socket to the server that started it.

The engine's calls hold the interpreter lock, and a few inputs crash or freeze it; here that hurts nobody else.
Run as `python -m pronk.engines.bundled.child FD`; it ends when the other side of the socket closes.
"""

import contextlib
import gc
import os
import select
import signal
import socket
import sys
from collections import deque
from dataclasses import dataclass, field

from pronk.engines.bundled.pipeline import Pipeline, ready_pipeline
from pronk.engines.bundled.protocol import (
    Cancel,
    Compile,
    Delta,
    Failed,
    Frames,
    Open,
    Progress,
    Ready,
    Submit,
    ToChild,
    ToParent,
    Verdict,
    frame,
    to_child_decoder,
)

READ_BYTES = 1 << 20
SUBMITS_PER_STEP = 8


class Line:
    """The child's end of the socket."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._frames = Frames()

    def send(self, message: ToParent) -> None:
        self._socket.sendall(frame(message))

    def receive(self, *, wait: bool) -> list[ToChild]:
        """All messages that have come; with `wait` at least one. Raises `EOFError` at the end."""
        messages: list[ToChild] = []
        while select.select([self._socket], [], [], None if wait and not messages else 0)[0]:
            data = self._socket.recv(READ_BYTES)
            if not data:
                raise EOFError
            messages += map(to_child_decoder.decode, self._frames.feed(data))
        return messages


@dataclass
class Generator:
    """Feeds the pipeline, steps it and reports; a step that raises is survived by trying each request alone."""

    pipeline: Pipeline
    line: Line
    waiting: deque[Submit] = field(default_factory=deque)
    suspects: deque[Submit] = field(default_factory=deque)

    def run(self, messages: list[ToChild]) -> None:
        """Until the line ends (`EOFError`), beginning with what came already."""
        while True:
            for message in messages:
                self.take(message)
            self.feed()
            self.step()
            busy = bool(self.waiting or self.suspects or self.pipeline.is_busy)
            messages = self.line.receive(wait=not busy)

    def take(self, message: ToChild) -> None:
        if isinstance(message, Submit):
            self.waiting.append(message)
        elif isinstance(message, Cancel):
            self.cancel(message.id)
        elif isinstance(message, Compile):
            self.line.send(Verdict(message.id, ok=self.pipeline.compiles(message.schema)))

    def cancel(self, request_id: int) -> None:
        for queue in (self.waiting, self.suspects):
            for submit in [submit for submit in queue if submit.id == request_id]:
                queue.remove(submit)
                self.report([Delta(request_id, [], [], "cancelled")])
        self.pipeline.cancel(request_id)

    def feed(self) -> None:
        """A few requests between steps: adding one runs its picture through the encoder while all others wait."""
        if self.suspects or self.pipeline.is_isolating:
            if not self.pipeline.is_busy:
                self.add([self.suspects.popleft()], alone=True)
            return
        count = min(SUBMITS_PER_STEP, len(self.waiting))
        if count:
            self.add([self.waiting.popleft() for _ in range(count)], alone=False)

    def add(self, submits: list[Submit], *, alone: bool) -> None:
        """Prepare requests together and start each; one that cannot be is told so and keeps none of the others."""
        try:
            prepared = self.pipeline.prepare(submits)
        except Exception as error:  # noqa: BLE001
            self.divide(submits, error, alone=alone)
            return
        for submit, one in zip(submits, prepared, strict=True):
            try:
                self.pipeline.start(submit, one, alone=alone)
            except Exception as error:  # noqa: BLE001
                self.refuse(submit, error)

    def divide(self, submits: list[Submit], error: Exception, *, alone: bool) -> None:
        if len(submits) == 1:
            self.refuse(submits[0], error)
            return
        for submit in submits:
            self.add([submit], alone=alone)

    def refuse(self, submit: Submit, error: Exception) -> None:
        _complain(f"request {submit.id} was refused by the engine: {type(error).__name__}")
        self.report([Delta(submit.id, [], [], "error")])

    def step(self) -> None:
        try:
            deltas = self.pipeline.step()
        except Exception as error:  # noqa: BLE001
            _complain(
                f"a step failed and {len(self.pipeline.live)} requests begin anew: {type(error).__name__}"
            )
            self.recover()
        else:
            self.report(deltas)

    def recover(self) -> None:
        was_alone = self.pipeline.is_isolating
        victims = self.pipeline.clear()
        if was_alone:
            self.report([Delta(submit.id, [], [], "error") for submit in victims])
            return
        self.suspects.extend(victims)
        self.report([Delta(submit.id, [], [], restarted=True) for submit in victims])

    def report(self, deltas: list[Delta]) -> None:
        if deltas:
            self.line.send(Progress(deltas, self.pipeline.cache_usage))


def _complain(text: str) -> None:
    print(f"bundled engine: {text}", file=sys.stderr, flush=True)  # noqa: T201


def serve(connection: socket.socket) -> None:
    """Load what the first message names, then generate until the other side is gone."""
    line = Line(connection)
    opening, *early = line.receive(wait=True)
    if not isinstance(opening, Open):
        raise TypeError(opening)
    try:
        pipeline = ready_pipeline(opening)
    except Exception as error:
        line.send(Failed(f"{type(error).__name__} while loading the model"))
        raise
    gc.collect()
    gc.freeze()
    line.send(Ready())
    try:
        Generator(pipeline, line).run(early)
    finally:
        pipeline.clear()


def main() -> None:
    """Ctrl-C is the server's to act on; what the engine prints on stdout goes to stderr."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.dup2(2, 1)
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        serve(socket.socket(fileno=int(sys.argv[1])))


if __name__ == "__main__":
    main()
