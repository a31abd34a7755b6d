"""HTTP/1.1 as uvicorn speaks it; what cannot even be parsed is answered with the error envelope too."""

from __future__ import annotations

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from pronk.api.errors import envelope


class Protocol(HttpToolsProtocol):
    """Pass it to uvicorn as `http`."""

    def send_400_response(self, msg: str) -> None:
        answer = envelope(
            400, f"{msg.rstrip('.')}: this is not HTTP/1.1 as this server reads it.", code="invalid_http"
        )
        head = b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: %d\r\n"
        self.transport.write(head % len(answer.body) + b"connection: close\r\n\r\n" + bytes(answer.body))
        self.transport.close()
