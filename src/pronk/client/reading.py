"""A result line and its request line as people look at them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from pronk.client.gallery import Picture, Shown

PictureOf = Callable[[int, str], Picture]
MAX_PICTURES: Final = 4


def shown_of(result: dict[str, Any], request: bytes, picture: PictureOf) -> Shown:
    """Return a line as it is shown; `picture` gives the one at a place of the request, with its reference."""
    from pronk.results.row import read_request, read_result

    cells, _ = read_result(0, msgspec.json.encode(result))
    plain: dict[str, Any] = read_request(request)[0] if request.strip() else {"images": [], "prompt": None}
    error = "" if cells["ok"] else f"{cells['error_code']}: {cells['error_message']}"
    return Shown(
        custom_id=str(cells["custom_id"]),
        pictures=tuple(picture(place, name) for place, name in enumerate(plain["images"][:MAX_PICTURES])),
        prompt=plain["prompt"] or "",
        answer=str(cells.get("answer") or ""),
        error=error,
    )
