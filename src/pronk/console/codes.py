"""What every code of a failed line means, whose fault it is, and what to do about it."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

Owner = Literal["your data", "your request", "the store", "the engine", "the operator", "pronk", "nobody"]


class Code(msgspec.Struct, frozen=True):
    """One code. `again` says whether trying the line again may help."""

    code: str
    title: str
    owner: Owner
    meaning: str
    advice: str
    again: bool


_MEDIA: Final = {
    "not_found": Code(
        "not_found",
        "{Kind} not found",
        "your data",
        "The store says that there is no such key or bucket, or a web server answered 404 or 410.",
        "Compare the reference with the bucket's listing: case, a leading slash, a moved prefix. Keys are taken literally, nothing is percent-decoded.",
        again=False,
    ),
    "access_denied": Code(
        "access_denied",
        "Access denied",
        "the operator",
        "The store answered 401 or 403, or no credentials were found for the bucket.",
        "Give the server's role s3:GetObject on the bucket (and kms:Decrypt where it is encrypted), or name a role for it in [[buckets]]. Then try the failed lines again.",
        again=True,
    ),
    "not_allowed": Code(
        "not_allowed",
        "Reference not allowed",
        "the operator",
        "The job's allow-list does not have this reference, or its address may not be reached from this server.",
        "Use a job whose allow-list has the bucket, or ask for it to be added. Private and link-local addresses are refused on purpose.",
        again=False,
    ),
    "too_large": Code(
        "too_large",
        "{Kind} too large",
        "your data",
        "The object has more bytes or pixels than the job allows, or the line names too many of them.",
        "Make the object smaller, or raise max_bytes or max_pixels of the job's media policy.",
        again=False,
    ),
    "invalid": Code(
        "invalid",
        "{Kind} broken",
        "your data",
        "The object is empty, cut off, cannot be decoded, or is not what its name says.",
        "Open the sample: a cut upload and a text file with a picture's name are the usual causes. Upload it anew.",
        again=False,
    ),
    "unsupported": Code(
        "unsupported",
        "{Kind} unsupported",
        "your request",
        "The scheme or format is not served, or the reference is malformed.",
        "Write s3://bucket/key, gs://, az://, https:// or data:; PNG, JPEG, WebP and GIF always work.",
        again=False,
    ),
    "fetch_failed": Code(
        "fetch_failed",
        "{Kind} could not be fetched",
        "the store",
        "The store timed out, broke the connection or answered 5xx, after all tries.",
        "Usually it passes: try the failed lines again. If it does not, look at the store's health and its request limits.",
        again=True,
    ),
}
_OTHERS: Final = {
    "engine_unavailable": Code(
        "engine_unavailable",
        "Engine unavailable",
        "the engine",
        "No replica gave a usable answer, after all tries.",
        "Look at the engines' page: are replicas up, do they restart? Then try the failed lines again.",
        again=True,
    ),
    "engine_timeout": Code(
        "engine_timeout",
        "Engine timeout",
        "the engine",
        "The engine did not answer within the request's time, after all tries.",
        "Lower max_tokens, or raise request_timeout of the pool; then try the failed lines again.",
        again=True,
    ),
    "batch_expired": Code(
        "batch_expired",
        "Window ended",
        "nobody",
        "The completion window ended before this line ran.",
        "Try the failed lines again with a longer window, or add replicas.",
        again=True,
    ),
    "batch_cancelled": Code(
        "batch_cancelled",
        "Cancelled",
        "nobody",
        "The batch was cancelled before this line ran.",
        "Try the failed lines again to run what is left.",
        again=True,
    ),
    "internal_error": Code(
        "internal_error",
        "A fault of pronk",
        "pronk",
        "Something broke on the server's side; the message has a reference to the log.",
        "Try the failed lines again, and report the reference with the log around it.",
        again=True,
    ),
}
_KINDS: Final = ("image", "video", "audio", "document")


def explain(code: str) -> Code:
    """Return what is known of a code; an engine's status, and one never heard of, are explained as such."""
    if code in _OTHERS:
        return _OTHERS[code]
    kind, _, ending = code.partition("_")
    if kind in _KINDS and ending in _MEDIA:
        known = _MEDIA[ending]
        title = known.title.replace("{Kind}", "Picture" if kind == "image" else kind.capitalize())
        return msgspec.structs.replace(known, code=code, title=title)
    if code.isdecimal():
        return _of_status(code)
    return Code(
        code, code, "nobody", "This code is not known to this version.", "See the message.", again=False
    )


def every_code() -> list[Code]:
    """Return all that have a page, pictures' first."""
    media = [explain(f"{kind}_{ending}") for kind in _KINDS for ending in _MEDIA]
    return [*media[: len(_MEDIA)], *_OTHERS.values(), *media[len(_MEDIA) :]]


def _of_status(code: str) -> Code:
    passing = code in {"408", "409", "429"} or code.startswith("5")
    if passing:
        advice = "It was tried again with growing pauses; try the failed lines again when the engine is well."
        meaning = f"The engine itself answered {code}, also after all tries."
        return Code(code, f"Engine answered {code}", "the engine", meaning, advice, again=True)
    meaning = f"The engine itself refused the request with {code}; its own words are in the sample lines."
    advice = (
        "Mend the request: a prompt over the model's context, an unknown member or a bad schema are usual."
    )
    return Code(code, f"Engine answered {code}", "your request", meaning, advice, again=False)
