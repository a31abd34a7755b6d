"""A small world around a resolver: stores in three regions, a web site, names, and a canary where nobody may come."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest
from tests.fakes.aws import Aws, open_aws
from tests.fakes.dns import Names
from tests.fakes.web import Canary, Site, open_canary, open_site
from tests.media.pictures import png

from pronk.domain.bucket import BucketRule, WebRules
from pronk.domain.errors import MediaError
from pronk.domain.ids import DEFAULT_PROJECT, ProjectId
from pronk.domain.job import MediaPolicy
from pronk.media.line import Resolved
from pronk.media.resolve import Bounds, Outside, Resolver, open_resolver

CHAT = "/v1/chat/completions"
SITE_HOST = "img.example.test"
SITE_ADDRESS = "127.0.0.2"
PATIENT = WebRules(allow_http=True)
OPEN = ("*", "http:*", "file:*")


@dataclass(slots=True, kw_only=True)
class World:
    """Everything a resolver meets, and the resolver; `slept` are the waits it asked for between tries."""

    aws: Aws
    site: Site
    names: Names
    canary: Canary
    resolver: Resolver
    slept: list[float] = field(default_factory=list)

    def fill(self, text: str) -> str:
        """Return `text` with the ports of site and canary in it."""
        return text.replace("{site}", str(self.site.port)).replace("{port}", str(self.canary.port))

    async def ask(
        self, *references: str, policy: MediaPolicy | None = None, project: str = DEFAULT_PROJECT
    ) -> Resolved:
        """Resolve one request that names `references` in this order, each in a part of its own after a text."""
        return await self.resolver.resolve(
            chat(*references), endpoint=CHAT, policy=opened(policy), project=ProjectId(project)
        )

    async def outcome(self, *references: str, policy: MediaPolicy | None = None) -> MediaError | Resolved:
        """Resolve one request; a MediaError is an answer like any other."""
        try:
            resolved = await self.ask(*references, policy=policy)
        except MediaError as error:
            return error
        resolved.close()
        return resolved

    async def outcomes(
        self, lines: Sequence[Sequence[str]], policy: MediaPolicy | None = None
    ) -> list[MediaError | Resolved]:
        """Resolve several requests at once; the answers stand in the order of `lines`."""
        answers: dict[int, MediaError | Resolved] = {}

        async def one(index: int) -> None:
            answers[index] = await self.outcome(*lines[index], policy=policy)

        async with anyio.create_task_group() as group:
            for index in range(len(lines)):
                group.start_soon(one, index)
        return [answers[index] for index in range(len(lines))]


def opened(policy: MediaPolicy | None) -> MediaPolicy:
    """Return the policy, with every reference allowed if it has no list: guards, not lists, are what is tested then."""
    policy = policy or MediaPolicy()
    return msgspec.structs.replace(policy, allow=OPEN) if policy.allow is None else policy


def chat(*references: str, kind: str = "image_url") -> bytes:
    """Return a chat request with a text part and then a part for each reference; lone surrogates stay escaped."""
    parts: list[dict[str, Any]] = [{"type": "text", "text": "What is this?"}]
    parts += [{"type": kind, kind: {"url": reference, "detail": "low"}} for reference in references]
    return json.dumps({"model": "m", "messages": [{"role": "user", "content": parts}]}).encode()


@asynccontextmanager
async def open_world(
    patch: pytest.MonkeyPatch,
    *,
    rules: Sequence[BucketRule] = (),
    web: WebRules = PATIENT,
    bounds: Bounds | None = None,
    clock: Callable[[], float] = time.time,
    folder: Path | None = None,
    is_secure: bool = False,
    painter: tuple[str, ...] | None = None,
    own: Callable[[Canary], Awaitable[tuple[tuple[str, int], ...]]] | None = None,
) -> AsyncIterator[World]:
    """Give a world whose AWS settings stand in the environment, as they do for every AWS tool.

    Slow fetches are not tried twice at the same time here, so that tests can count them. `is_secure` gives the site TLS,
    `painter` is the command of picture children, `own` says which (address, port) are parts of ours, of which the canary is one.
    The bucket ``parts`` lies in eu-west-1 and holds ``good.png``; the site has ``/good.png``.
    """
    slept: list[float] = []

    async def sleep(delay: float) -> None:
        slept.append(delay)
        await anyio.lowlevel.checkpoint()

    async with AsyncExitStack() as stack:
        aws = await stack.enter_async_context(open_aws())
        canary = await stack.enter_async_context(open_canary(but=(SITE_ADDRESS,)))
        site = await stack.enter_async_context(
            open_site(host=SITE_ADDRESS, port=canary.port, is_secure=is_secure)
        )
        names = Names()
        names.add(SITE_HOST, [SITE_ADDRESS])
        furnish(aws, site)
        use_keys(patch, aws)
        web = with_site(web, site)
        outside = Outside(
            clock=clock,
            ticks=lambda: 0.0,
            sleep=sleep,
            chance=lambda: 0.5,
            lookup=names,
            painter=painter,
            forbidden=await own(canary) if own else (),
        )
        resolver = await stack.enter_async_context(
            open_resolver(buckets=rules, web=web, bounds=bounds, folder=folder, outside=outside)
        )
        yield World(aws=aws, site=site, names=names, canary=canary, resolver=resolver, slept=slept)


def furnish(aws: Aws, site: Site) -> None:
    """Put the good pictures where tests look for neighbours."""
    aws.new_bucket("parts", "eu-west-1").put("good.png", png(), "image/png")
    site.page("/good.png", png())


def use_keys(patch: pytest.MonkeyPatch, aws: Aws) -> None:
    """Set the standard environment of AWS tools to one user of `aws`, and nothing else."""
    user = aws.new_user()
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_SESSION_TOKEN", "AWS_ROLE_ARN"):
        patch.delenv(name, raising=False)
    for name, value in {
        "AWS_ACCESS_KEY_ID": user.access_key,
        "AWS_SECRET_ACCESS_KEY": user.secret,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": aws.url,
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        patch.setenv(name, value)


def with_site(web: WebRules, site: Site) -> WebRules:
    """Let the site's own address and port be reached, nothing else that is private and not named."""
    allowed = (f"{SITE_ADDRESS}/32", *web.allow_private)
    return msgspec.structs.replace(web, allow_private=allowed, ports=(80, 443, site.port))
