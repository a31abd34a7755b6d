"""Tries every new JSON schema in a process that generates for nobody, before a request with it may run.

A schema that the grammar compiler refuses would stop all requests that run beside it; one that takes it minutes would
make them wait. The process is started when first needed and ends when no new schema came for a while.
"""

import hashlib
import math
from collections import OrderedDict
from dataclasses import dataclass, field

import anyio

from pronk.domain.errors import ApiError
from pronk.engines.bundled.process import Child, open_child
from pronk.engines.bundled.protocol import Compile, Open, Ready, Verdict
from pronk.engines.bundled.refusals import bad, unavailable
from pronk.engines.bundled.schema import ANY_OBJECT

REMEMBERED = 10_000
IDLE_SECONDS = 60.0
START_SECONDS = 60.0


@dataclass(slots=True)
class Trial:
    """One schema under trial; `error` is set when it may not be used."""

    schema: str
    done: anyio.Event = field(default_factory=anyio.Event)
    failure: ApiError | None = None


class SchemaTrials:
    """Remembers the outcome by the schema's text; `seconds` is how long one may take to compile."""

    def __init__(self, opening: Open, seconds: float) -> None:
        self._opening = opening
        self._seconds = seconds
        self._trials: OrderedDict[bytes, Trial] = OrderedDict()
        self._send, self._queue = anyio.create_memory_object_stream[Trial](math.inf)

    async def check(self, schema: str | None, path: str) -> None:
        """Return when the schema is known to be good; raises `InvalidRequestError` at `path` when it is not."""
        if schema is None or schema == ANY_OBJECT:
            return
        trial = self._trial(schema)
        await trial.done.wait()
        if isinstance(trial.failure, ApiError):
            raise type(trial.failure)(trial.failure.message, param=path, code=trial.failure.code)

    def _trial(self, schema: str) -> Trial:
        key = hashlib.sha256(schema.encode()).digest()
        trial = self._trials.get(key)
        if trial is None or (trial.failure is not None and trial.failure.status_code != 400):
            trial = self._trials[key] = Trial(schema)
            self._send.send_nowait(trial)
        self._trials.move_to_end(key)
        if len(self._trials) > REMEMBERED:
            self._trials.popitem(last=False)
        return trial

    async def run(self) -> None:
        """Serve trials for ever, one process after the other."""
        while True:
            trial = await self._queue.receive()
            async with open_child(self._opening) as child, anyio.create_task_group() as tasks:
                tasks.start_soon(child.write)
                await self._serve(child, trial)
                child.kill()
                tasks.cancel_scope.cancel()

    async def _serve(self, child: Child, trial: Trial) -> None:
        """Trials until one fails to end in time or none comes any more."""
        messages = child.receive()
        with anyio.move_on_after(START_SECONDS):
            ready = await anext(messages, None)
        if not isinstance(ready, Ready):
            _end(trial, unavailable("schemas cannot be checked now; try again"))
            return
        for number in range(REMEMBERED):
            child.post(Compile(number, trial.schema))
            verdict = None
            with anyio.move_on_after(self._seconds):
                verdict = await anext(messages, None)
            _end(
                trial,
                None if isinstance(verdict, Verdict) and verdict.ok else refusal(verdict, self._seconds),
            )
            if not isinstance(verdict, Verdict):
                return
            with anyio.move_on_after(IDLE_SECONDS) as idle:
                trial = await self._queue.receive()
            if idle.cancelled_caught:
                return
        self._send.send_nowait(trial)


def refusal(verdict: object, seconds: float) -> ApiError:
    """400 for a schema that was refused, that took too long, or that ended the process."""
    if isinstance(verdict, Verdict):
        return bad(None, "the schema is not a JSON schema that answers can be held to", "invalid_json_schema")
    return bad(
        None,
        f"the schema cannot be compiled within {seconds:g} seconds; make it smaller",
        "invalid_json_schema",
    )


def _end(trial: Trial, failure: ApiError | None) -> None:
    trial.failure = failure
    trial.done.set()
