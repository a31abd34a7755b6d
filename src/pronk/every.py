"""Something done again and again until it is cancelled; a round that fails is logged and the next one comes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
import structlog

from pronk.domain.errors import OutageError

log = structlog.get_logger()


async def every(
    seconds: float,
    run_once: Callable[[], Awaitable[object]],
    *,
    name: str,
    sleep: Callable[[float], Awaitable[object]] = anyio.sleep,
) -> None:
    """Run a round, then rest `seconds`, for ever. An outage is worth a line, anything else a traceback."""
    while True:
        try:
            await run_once()
        except OutageError as error:
            log.warning("round postponed", loop=name, reason=str(error))
        except Exception:
            log.exception("round failed", loop=name)
        await sleep(seconds)
