"""The fault table of documents: what goes wrong, with which code and after how many tries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.fakes.aws import RESET, Fault
from tests.media.documents import claims, cut, document, encrypted
from tests.media.faults import ALL_TRIES, ALWAYS, Case, goes_wrong, holds
from tests.media.pictures import png

from pronk.domain.job import MediaPolicy


def of_document(name: str, ending: str | None, pages: str, make: Callable[[], bytes], **more: Any) -> Case:
    code = f"document_{ending}" if ending else None
    arrange = more.pop("arrange", None) or holds(make(), key="it.pdf")
    return Case(name=f"document: {name}", ref=f"s3://parts/it.pdf{pages}", code=code, arrange=arrange, **more)


def nothing() -> bytes:
    return b""


DOCUMENT_CASES = [
    of_document("a page", None, "#page=2", lambda: document(3)),
    of_document("some pages", None, "#page=2-3", lambda: document(3)),
    of_document("all pages", None, "", lambda: document(3)),
    of_document(
        "a version's page",
        None,
        "#page=1?versionId=v000001.x",
        nothing,
        arrange=holds(document(), key="it.pdf", is_versioned=True),
    ),
    of_document("missing", "not_found", "#page=1", nothing, arrange=lambda _: None),
    of_document("page behind the last", "not_found", "#page=4", lambda: document(3)),
    of_document("range that ends behind the last", "not_found", "#page=2-4", lambda: document(3)),
    of_document("page that is only claimed", "invalid", "#page=7", lambda: claims(9)),
    of_document("page zero", "unsupported", "#page=0", document, tries=0),
    of_document("range backwards", "unsupported", "#page=3-1", lambda: document(3), tries=0),
    of_document(
        "not allowed",
        "not_allowed",
        "#page=1",
        document,
        tries=0,
        policy=MediaPolicy(allow=("s3://parts/good.png",)),
    ),
    of_document("more pages than asked for may be", "too_large", "#page=1-500", document, tries=0),
    of_document(
        "more pages than may be", "too_large", "", lambda: document(12), policy=MediaPolicy(max_references=10)
    ),
    of_document(
        "as many pages as may be", None, "", lambda: document(9), policy=MediaPolicy(max_references=10)
    ),
    of_document(
        "too many bytes", "too_large", "#page=1", lambda: document(50), policy=MediaPolicy(max_bytes=5000)
    ),
    of_document("encrypted", "unsupported", "#page=1", encrypted),
    of_document("cut", "invalid", "#page=1", lambda: cut(document(20), 0.7)),
    of_document("a picture", "invalid", "#page=1", png),
    of_document(
        "reset for ever",
        "fetch_failed",
        "#page=1",
        nothing,
        tries=ALL_TRIES,
        arrange=goes_wrong(lambda: Fault(manners=RESET, times=ALWAYS), key="it.pdf"),
    ),
    Case(name="document in the name of a picture", code="image_unsupported", arrange=holds(document())),
]
