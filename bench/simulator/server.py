"""The modelled engine behind OpenAI's routes, in real time: ``python -m bench.simulator.server --port 0``.

Prompts count four bytes a token. An answer's length is drawn from ``--output`` unless the request's ``max_tokens`` is
smaller. ``/metrics`` speaks vLLM's names unless ``--blind``; ``--refuse-above N`` answers 429 beyond N requests;
``--speed`` scales time. A client that goes away is forgotten, as real engines do.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import re
import sys
from typing import cast

import msgspec
import uvloop
from bench.simulator.drive import Load
from bench.simulator.model import Engine, EngineModel, Sequence

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)
_MAX_TOKENS = re.compile(rb'"max_(?:completion_|output_)?tokens"\s*:\s*(\d+)')


class Replica:
    """The model kept in step with the clock."""

    def __init__(self, engine: Engine, load: Load, chance: random.Random, refuse_above: int) -> None:
        self.engine = engine
        self._load = load
        self._chance = chance
        self._refuse_above = refuse_above
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    def take(self, connection: Connection, body: bytes) -> Sequence | None:
        """Queue a request, or return None where one has to be refused."""
        self._catch_up()
        if len(self.engine.running) + len(self.engine.waiting) >= self._refuse_above:
            return None
        drawn = self._load.draw(self._chance)
        wanted = _MAX_TOKENS.search(body)
        output = min(drawn.output, int(wanted[1])) if wanted else drawn.output
        sequence = Sequence(max(1, len(body) // 4), max(1, output), connection)
        self.engine.submit(sequence, self._loop.time())
        self._set_timer()
        return sequence

    def forget(self, sequence: Sequence) -> None:
        """Drop a request whose client went away."""
        self._catch_up()
        self.engine.cancel(sequence)
        self._set_timer()

    def metrics(self) -> bytes:
        """Return Prometheus text in vLLM's words."""
        engine, label = self.engine, '{engine="0",model_name="simulated"}'
        return (
            f"vllm:num_requests_running{label} {len(engine.running)}\n"
            f"vllm:num_requests_waiting{label} {len(engine.waiting)}\n"
            f"vllm:num_preemptions_total{label} {engine.preemptions}\n"
            f"vllm:kv_cache_usage_perc{label} {engine.kv_use:.4f}\n"
            f"vllm:generation_tokens_total{label} {engine.generated}\n"
        ).encode()

    def _catch_up(self) -> None:
        while self.engine.next_event <= self._loop.time():
            for sequence in self.engine.advance():
                cast("Connection", sequence.tag).finish(sequence)

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.engine.next_event != float("inf"):
            self._timer = self._loop.call_at(self.engine.next_event, self._wake)

    def _wake(self) -> None:
        self._catch_up()
        self._set_timer()


class Connection(asyncio.Protocol):
    """HTTP/1.1 with keep-alive, one request at a time."""

    def __init__(self, replica: Replica, *, blind: bool) -> None:
        self._replica = replica
        self._blind = blind
        self._buffer = b""
        self._sequence: Sequence | None = None
        self._path = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """End; what is under way is forgotten."""
        if self._sequence is not None:
            self._replica.forget(self._sequence)
            self._sequence = None

    def data_received(self, data: bytes) -> None:
        """Take the next request once it is whole."""
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0 or self._sequence is not None:
            return
        length = _LENGTH.search(self._buffer[:end])
        whole = end + 4 + (int(length[1]) if length else 0)
        if len(self._buffer) < whole:
            return
        head, body = self._buffer[:end], self._buffer[end + 4 : whole]
        self._buffer = self._buffer[whole:]
        method, target, _ = head.split(b" ", 2)
        self._path = target.decode()
        if method == b"POST":
            self._ask(body)
        else:
            self._look()

    def _ask(self, body: bytes) -> None:
        self._sequence = self._replica.take(self, body)
        if self._sequence is None:
            self._send(429, b'{"error":{"message":"too many requests","type":"rate_limit_error"}}')

    def _look(self) -> None:
        if self._path == "/health":
            self._send(200, b"")
        elif self._path == "/v1/models":
            self._send(200, b'{"object":"list","data":[{"id":"simulated","object":"model"}]}')
        elif self._path == "/metrics" and not self._blind:
            self._send(200, self._replica.metrics())
        else:
            self._send(404, b'{"error":{"message":"no such route","type":"invalid_request_error"}}')

    def finish(self, sequence: Sequence) -> None:
        """Answer; called by the replica."""
        self._sequence = None
        usage = {
            "prompt_tokens": sequence.prompt,
            "completion_tokens": sequence.output,
            "total_tokens": sequence.prompt + sequence.output,
        }
        choice = {
            "index": 0,
            "finish_reason": "stop",
            "message": {"role": "assistant", "content": "simulated"},
        }
        answer = {"id": "sim", "object": "chat.completion", "created": 0, "model": "simulated"}
        self._send(200, msgspec.json.encode({**answer, "choices": [choice], "usage": usage}))

    def _send(self, status: int, body: bytes) -> None:
        head = b"HTTP/1.1 %d Status\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
        self._transport.write(head % (status, len(body)) + body)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--engine", default="{}", help='JSON of EngineModel, such as {"seats":64}')
    parser.add_argument("--output", type=int, default=200, help="mean length of answers in tokens")
    parser.add_argument("--output-spread", type=float, default=0.5)
    parser.add_argument("--speed", type=float, default=1.0)
    parser.add_argument("--refuse-above", type=int, default=1 << 30)
    parser.add_argument("--blind", action="store_true", help="no /metrics")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


async def serve(arguments: argparse.Namespace) -> None:
    """Serve until standard input ends."""
    chance = random.Random(arguments.seed)
    engine = Engine(msgspec.json.decode(arguments.engine, type=EngineModel), chance)
    engine.speed = arguments.speed
    load = Load(output=arguments.output, output_spread=arguments.output_spread)
    replica = Replica(engine, load, chance, arguments.refuse_above)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Connection(replica, blind=arguments.blind), "127.0.0.1", arguments.port, backlog=4096
    )
    print(f"ready http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
    stopped = asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), stopped.set)
    await stopped.wait()


if __name__ == "__main__":
    uvloop.run(serve(_arguments()))
