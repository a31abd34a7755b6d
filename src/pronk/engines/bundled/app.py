"""The engine's routes: OpenAI's for one model, health and metrics."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pronk.domain.errors import ApiError
from pronk.engines.bundled import render
from pronk.engines.bundled.answer import Answer, Piece
from pronk.engines.bundled.chat import Chat, read_chat
from pronk.engines.bundled.completions import read_completion
from pronk.engines.bundled.engine import Engine
from pronk.engines.bundled.exchange import Exchange, Post
from pronk.engines.bundled.fields import Fields, shown
from pronk.engines.bundled.metrics import Metrics
from pronk.engines.bundled.model import CHAT_PATHS, RESPONSE_PATHS, Model
from pronk.engines.bundled.refusals import envelope, internal, not_found
from pronk.engines.bundled.render import Spell
from pronk.engines.bundled.responses import read_response
from pronk.engines.bundled.stream import stream_chat, stream_completion

EXPOSITION = "text/plain; version=0.0.4; charset=utf-8"
ECHOED = (
    "instructions",
    "max_output_tokens",
    "metadata",
    "temperature",
    "text",
    "top_p",
    "previous_response_id",
)


@dataclass(frozen=True, slots=True)
class Served:
    """What the routes answer from. `now` is Unix time, `new_id` makes the part of an id after its prefix."""

    name: str
    model: Model
    spell: Spell
    engine: Engine
    metrics: Metrics
    max_body_bytes: int
    now: Callable[[], float]
    new_id: Callable[[], str]
    created: int

    def head(self, prefix: str) -> render.Head:
        return render.Head(f"{prefix}{self.new_id()}", int(self.now()), self.name)

    def check_model(self, fields: Fields) -> None:
        name = fields.required_text("model", f"the model's name, here {self.name}")
        if name != self.name:
            message = f"the model {shown(name)} does not exist; this engine serves {self.name}"
            raise not_found(message, "model_not_found", "model")


class Actions:
    """What each POST route does with its body."""

    def __init__(self, served: Served) -> None:
        self._served = served

    async def chat(self, exchange: Exchange) -> None:
        served = self._served
        served.check_model(exchange.fields)
        chat = read_chat(exchange.fields)
        head = served.head("chatcmpl-")
        started = time.monotonic()
        async with served.model.chat(chat, CHAT_PATHS) as answers:
            if chat.generation.stream:
                finishes = await stream_chat(exchange, head, chat, answers, served.spell)
            else:
                pieces = await whole(answers)
                finishes = [str(piece.finish) for piece in pieces]
                choices = [self._chat_choice(index, piece, chat) for index, piece in enumerate(pieces)]
                used = render.usage(answers, chat.generation.choices)
                await exchange.json(render.chat_completion(head, choices, used))
            served.metrics.finished(answers, finishes, chat.generation.choices, time.monotonic() - started)

    def _chat_choice(self, index: int, piece: Piece, chat: Chat) -> render.Json:
        top = chat.top_logprobs
        logprobs = None if top is None else render.chat_logprobs(piece, self._served.spell, top)
        return render.chat_choice(index, piece, logprobs)

    async def completion(self, exchange: Exchange) -> None:
        served = self._served
        served.check_model(exchange.fields)
        completion = read_completion(exchange.fields)
        generation = completion.generation
        head = served.head("cmpl-")
        started = time.monotonic()
        async with served.model.complete(completion) as answers:
            if generation.stream:
                finishes = await stream_completion(exchange, head, generation, answers, served.spell)
            else:
                pieces = await whole(answers)
                finishes = [str(piece.finish) for piece in pieces]
                choices = [
                    self._completion_choice(*item, wanted=generation.sampling.logprobs)
                    for item in enumerate(pieces)
                ]
                await exchange.json(
                    render.completion(head, choices, render.usage(answers, generation.choices))
                )
            served.metrics.finished(answers, finishes, generation.choices, time.monotonic() - started)

    def _completion_choice(self, index: int, piece: Piece, *, wanted: bool) -> render.Json:
        logprobs = render.completion_logprobs(piece, self._served.spell, 0) if wanted else None
        return render.completion_choice(index, piece, logprobs)

    async def response(self, exchange: Exchange) -> None:
        served = self._served
        served.check_model(exchange.fields)
        chat = read_response(exchange.fields)
        started = time.monotonic()
        wanted = {name: exchange.fields.get(name) for name in ECHOED}
        async with served.model.chat(chat, RESPONSE_PATHS) as [answer]:
            piece = await answer.whole()
            await exchange.json(render.response(served.head("resp_"), piece, answer, wanted))
            served.metrics.finished([answer], [str(piece.finish)], 1, time.monotonic() - started)

    async def embeddings(self, exchange: Exchange) -> None:
        self._served.check_model(exchange.fields)
        raise not_found(f"{self._served.name} generates text and has no embeddings", "not_supported", "model")


async def whole(answers: list[Answer]) -> list[Piece]:
    """All answers to their ends; the first that failed decides."""
    return [await answer.whole() for answer in answers]


class Views:
    """What the GET routes show."""

    def __init__(self, served: Served) -> None:
        self._served = served

    async def models(self, _request: Request) -> Response:
        return JSONResponse({"object": "list", "data": [self._card()]})

    async def model(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name != self._served.name:
            message = f"the model {shown(name)} does not exist; this engine serves {self._served.name}"
            raise not_found(message, "model_not_found", "model")
        return JSONResponse(self._card())

    async def health(self, _request: Request) -> Response:
        """200 while requests are taken, a restart of the generating process included."""
        engine = self._served.engine
        if not engine.is_healthy:
            return JSONResponse({"status": "failing"}, 503)
        return JSONResponse({"status": "ok" if engine.is_ready else "restarting"})

    async def metrics(self, _request: Request) -> Response:
        return Response(self._served.metrics.exposition(), media_type=EXPOSITION)

    def _card(self) -> render.Json:
        served = self._served
        return render.model_card(served.name, served.created, served.model.context)


def build_app(served: Served) -> Starlette:
    """All routes over what is served."""
    actions, views = Actions(served), Views(served)
    posts = {
        "/v1/chat/completions": actions.chat,
        "/v1/completions": actions.completion,
        "/v1/responses": actions.response,
        "/v1/embeddings": actions.embeddings,
    }
    routes = [
        *(
            Route(path, Post(action, served.max_body_bytes, served.metrics.refused), methods=["POST"])
            for path, action in posts.items()
        ),
        Route("/v1/models", views.models),
        Route("/v1/models/{name:path}", views.model),
        Route("/health", views.health),
        Route("/metrics", views.metrics),
    ]
    handlers = {ApiError: _refused, HTTPException: unrouted, Exception: _crashed}
    return Starlette(routes=routes, exception_handlers=handlers)


async def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)  # noqa: S101
    return JSONResponse(envelope(error), error.status_code)


async def unrouted(request: Request, error: Exception) -> Response:
    """404 and 405 as the router finds them."""
    assert isinstance(error, HTTPException)  # noqa: S101
    text = f"{request.method} is not allowed here" if error.status_code == 405 else "there is no such route"
    code = "method_not_allowed" if error.status_code == 405 else "not_found"
    body = envelope(not_found(f"{request.url.path}: {text}", code))
    return JSONResponse(body, error.status_code, headers=dict(error.headers or {}))


async def _crashed(_request: Request, _error: Exception) -> Response:
    return JSONResponse(envelope(internal()), 500)
