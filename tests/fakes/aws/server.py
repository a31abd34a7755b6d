"""One listener that is all of AWS for a test: storage in every region, the token service, credential addresses."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
from tests.fakes.aws import credentials
from tests.fakes.aws.buckets import OWNER, Bucket
from tests.fakes.aws.faults import Fault, Latency
from tests.fakes.aws.iam import Credential, Iam
from tests.fakes.aws.refusals import RefusedError
from tests.fakes.aws.s3 import Target, answer_s3, target_of
from tests.fakes.aws.sigv4 import check_signature, is_signed
from tests.fakes.http1 import Listening, Reply, Request, Traffic, Wait, open_server

USER = f"arn:aws:iam::{OWNER}:user/pronk"


@dataclass(slots=True)
class Aws:
    """The service's state, open to tests: change it while it runs.

    `now` gives the service's clock in Unix seconds, `bases` the host names that virtual-host requests stand below.
    `counts` counts requests by operation, bucket and key, those that meet a fault included; `codes` counts
    refusals by code.
    """

    iam: Iam = field(default_factory=Iam)
    now: Callable[[], float] = time.time
    bases: tuple[str, ...] = ("localhost",)
    buckets: dict[str, Bucket] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    latency: Latency = field(default_factory=Latency)
    counts: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    regions_asked: Counter[str] = field(default_factory=Counter)
    url: str = ""
    traffic: Traffic = field(default_factory=Traffic)

    def new_user(self, principal: str = USER) -> Credential:
        """Return a key of a user; buckets made later with that principal as reader are theirs to read."""
        return self.iam.add_user(principal)

    def new_bucket(
        self, name: str, region: str = "us-east-1", *, readers: tuple[str, ...] = (USER,)
    ) -> Bucket:
        """Return a new bucket that `readers` may use; its other traits are plain attributes."""
        self.buckets[name] = Bucket(name=name, region=region, readers=frozenset(readers))
        return self.buckets[name]

    def fail(self, fault: Fault) -> Fault:
        """Let something go wrong from now on; the first fault that is due for a request is met."""
        self.faults.append(fault)
        return fault

    def count(self, operation: str, bucket: str | None = None, key: str | None = None) -> int:
        """Return how many requests of an operation came, for one bucket and key or all."""
        return sum(
            number
            for (done, its_bucket, its_key), number in self.counts.items()
            if done == operation and bucket in (None, its_bucket) and key in (None, its_key)
        )

    def answer(self, request: Request) -> Reply:
        """Answer one request; this is what listens."""
        if request.path.startswith(credentials.CONTAINER):
            self.counts["GetContainerCredentials", "", ""] += 1
            return credentials.answer_container(request, self.iam)
        if request.path.startswith(credentials.INSTANCE):
            self.counts["GetInstanceCredentials", "", ""] += 1
            return credentials.answer_instance(request, self.iam)
        if request.method == "POST" and b"Action=" in request.body and request.path == "/":
            return self._answer_sts(request)
        return self._answer_s3(request)

    def _answer_sts(self, request: Request) -> Reply:
        form = credentials.read_form(request)
        self.counts[form["Action"], form.get("RoleArn", ""), ""] += 1
        try:
            signed = check_signature(request, self.iam, self.now()) if is_signed(request) else None
        except RefusedError as refused:
            self.codes[refused.code] += 1
            return refused.reply()
        return credentials.answer_sts(form, self.iam, signed)

    def _answer_s3(self, request: Request) -> Reply:
        target = target_of(request, self.bases)
        self.counts[target.operation, target.bucket, target.key] += 1
        try:
            signed = check_signature(request, self.iam, self.now()) if is_signed(request) else None
            self.regions_asked[signed.region if signed else ""] += 1
            reply = answer_s3(request, target, self.buckets, signed)
        except RefusedError as refused:
            self.codes[refused.code] += 1
            reply = refused.reply()
        return self._spoiled(target, reply)

    def _spoiled(self, target: Target, reply: Reply) -> Reply:
        for fault in self.faults:
            if fault.is_due(target.operation, target.bucket, target.key):
                reply = fault.apply(reply)
                break
        return self.latency.apply(reply)


@asynccontextmanager
async def open_aws(
    aws: Aws | None = None, *, host: str = "127.0.0.1", port: int = 0, wait: Wait = anyio.sleep
) -> AsyncIterator[Aws]:
    """Listen until the block ends; `wait` is how late answers wait."""
    aws = aws or Aws()
    async with open_server(aws.answer, host=host, port=port, wait=wait) as listening:
        _attach(aws, listening)
        yield aws


def _attach(aws: Aws, listening: Listening) -> None:
    aws.url, aws.traffic = listening.url, listening.traffic
