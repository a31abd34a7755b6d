"""What can be wrong with one request line, each finding with its code, its place and what would be right."""

from __future__ import annotations

from typing import Any

import msgspec

from pronk.domain.batch import Batch, LineError

MAX_CUSTOM_ID = 512

_REQUIRED = ("custom_id", "method", "url", "body")


class _Head(msgspec.Struct):
    model: str | None = None
    stream: bool | None = None


class _Inputs(msgspec.Struct):
    input: list[msgspec.Raw] | str | None = None


class _Good(msgspec.Struct):
    """A line as it should be; whatever does not decode so is looked at closely."""

    custom_id: str
    method: str
    url: str
    body: msgspec.Raw


_decode_good = msgspec.json.Decoder(_Good).decode
_decode_head = msgspec.json.Decoder(_Head).decode
_decode_inputs = msgspec.json.Decoder(_Inputs).decode
_decode_any = msgspec.json.Decoder().decode
_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class LineCheck:
    """Checks the lines of one file in order; remembers ids and the first model."""

    def __init__(self, batch: Batch, max_embedding_inputs: int) -> None:
        self.model: str | None = None
        self._endpoint = batch.endpoint
        self._job = batch.job
        self._max_inputs = max_embedding_inputs
        self._inputs = 0
        self._first_lines: dict[str, int] = {}

    def __call__(self, number: int, line: bytes) -> list[LineError]:
        """Return everything that is wrong with a line."""
        try:
            findings = self._quick(number, line)
        except (msgspec.DecodeError, RecursionError, UnicodeError):
            findings = None
        return self._closely(number, line) if findings is None else findings

    def conclude(self) -> list[LineError]:
        """Return what is wrong with the file as a whole."""
        if self._inputs <= self._max_inputs:
            return []
        message = (
            f"The file holds {self._inputs:,} embedding inputs; at most {self._max_inputs:,} fit in a batch."
        )
        return [LineError(code="too_many_embedding_inputs", message=message)]

    def _quick(self, number: int, line: bytes) -> list[LineError] | None:
        """Return [] for a good line and None for one that needs a close look."""
        if not line.isascii():
            line.decode()
        good = _decode_good(line)
        head = _decode_head(good.body)
        is_plain = (
            good.method == "POST" and good.url == self._endpoint and 0 < len(good.custom_id) <= MAX_CUSTOM_ID
        )
        if not is_plain or head.stream or not self._fits(head.model) or good.custom_id in self._first_lines:
            return None
        self._first_lines[good.custom_id] = number
        self._note(head.model, good.body)
        return []

    def _fits(self, model: str | None) -> bool:
        return self._job.model in (None, model) if model else self._job.model is not None

    def _note(self, model: str | None, body: msgspec.Raw) -> None:
        self.model = self.model or model or self._job.model
        if self._endpoint == "/v1/embeddings":
            found = _decode_inputs(body).input
            self._inputs += _count_inputs(found) if isinstance(found, list) else 1

    def _closely(self, number: int, line: bytes) -> list[LineError]:
        try:
            line.decode()
            fields = _decode_fields(line)
            request: dict[str, Any] = {
                name: _decode_any(raw) for name, raw in fields.items() if name in _REQUIRED
            }
        except msgspec.ValidationError:
            return [_finding(number, "invalid_json_line", "The line is JSON, but not an object.")]
        except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
            return [_finding(number, "invalid_json_line", f"The line is not valid JSON: {_why(error)}.")]
        findings = [
            _finding(number, "missing_required_parameter", f"The line has no {name!r}.", name)
            for name in _REQUIRED
            if name not in request
        ]
        return (
            findings
            + self._custom_id(number, request)
            + self._target(number, request)
            + self._body(number, request)
        )

    def _custom_id(self, number: int, request: dict[str, Any]) -> list[LineError]:
        if "custom_id" not in request:
            return []
        custom_id = request["custom_id"]
        if not isinstance(custom_id, str) or not 0 < len(custom_id) <= MAX_CUSTOM_ID:
            message = f"custom_id has to be a text of 1 to {MAX_CUSTOM_ID} characters, unique in the file."
            return [_finding(number, "invalid_custom_id", message, "custom_id")]
        first = self._first_lines.setdefault(custom_id, number)
        if first == number:
            return []
        message = (
            f"custom_id {custom_id!r} is that of line {first} already; each has to be unique in the file."
        )
        return [_finding(number, "duplicate_custom_id", message, "custom_id")]

    def _target(self, number: int, request: dict[str, Any]) -> list[LineError]:
        findings = []
        if request.get("method", "POST") != "POST":
            message = f"method is {_short(request['method'])}; only 'POST' is served."
            findings.append(_finding(number, "invalid_method", message, "method"))
        if request.get("url", self._endpoint) != self._endpoint:
            message = f"url is {_short(request['url'])}, but the batch's endpoint is {self._endpoint!r}."
            findings.append(_finding(number, "url_mismatch", message, "url"))
        return findings

    def _body(self, number: int, request: dict[str, Any]) -> list[LineError]:
        if "body" not in request:
            return []
        body = request["body"]
        if not isinstance(body, dict):
            return [_finding(number, "invalid_request", "body has to be a JSON object.", "body")]
        findings = []
        if body.get("stream"):
            message = "stream cannot be true in a batch; leave it out."
            findings.append(_finding(number, "invalid_request", message, "body.stream"))
        return findings + self._model(number, body.get("model"))

    def _model(self, number: int, model: object) -> list[LineError]:
        if model is None and self._job.model is None:
            return [_finding(number, "missing_required_parameter", "The body has no 'model'.", "body.model")]
        if model is not None and (not isinstance(model, str) or not model):
            return [_finding(number, "invalid_request", "model has to be a text.", "body.model")]
        if isinstance(model, str) and not self._fits(model):
            message = f"model is {_short(model)}, but the job {self._job.id!r} serves {self._job.model!r}."
            return [_finding(number, "model_mismatch", message, "body.model")]
        return []


def _count_inputs(found: list[msgspec.Raw]) -> int:
    """A list of numbers is one input of tokens; any other list is as many inputs as it is long."""
    is_tokens = bool(found) and bytes(found[0])[:1] in b"-0123456789"
    return 1 if is_tokens else len(found)


def _finding(number: int, code: str, message: str, param: str | None = None) -> LineError:
    return LineError(code=code, message=message, param=param, line=number)


def _why(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return "it is not UTF-8" if isinstance(error, UnicodeError) else str(error)


def _short(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else f"{shown[:77]}…"
