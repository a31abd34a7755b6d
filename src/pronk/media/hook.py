"""The way out to receivers of webhooks: the same guard as for pictures from the web, and nothing is read of what they say."""

from __future__ import annotations

from pronk.domain.errors import InvalidRequestError
from pronk.media.fetched import FetchError
from pronk.media.transport import Transport
from pronk.media.web import Url, Web


class Hook:
    """Posts to receivers; redirects are answers like any other and are not followed."""

    def __init__(self, web: Web, transport: Transport) -> None:
        self._web = web
        self._transport = transport

    def check(self, url: str) -> None:
        """Raise InvalidRequestError for an address that would never be posted to, as far as the text tells."""
        try:
            self._checked(url)
        except FetchError as error:
            raise InvalidRequestError(
                f"'url' {error.why}; it has to be an https:// address that this server may reach.",
                param="url",
                code="url_not_allowed",
            ) from error

    async def post(self, url: str, headers: dict[str, str], body: bytes) -> int:
        """Send a body and return the status of the answer. Raises FetchError and TransientError."""
        return await self._transport.post(str(self._checked(url)), headers, body)

    def _checked(self, url: str) -> Url:
        try:
            return self._web.checked(url)
        except UnicodeError as error:
            raise FetchError("unsupported", "is not valid Unicode") from error
