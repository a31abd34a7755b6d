"""Defaults are spliced in; every other byte stays."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pronk.domain.bodies import defaults_of, merge_defaults
from pronk.domain.ids import JobId
from pronk.domain.job import Job

WARM = {"temperature": msgspec.Raw(b"0.10"), "top_p": msgspec.Raw(b"1e0")}


@pytest.mark.parametrize(
    ("body", "merged"),
    [
        (b"{}", b'{"temperature":0.10,"top_p":1e0}'),
        (b' { "a" : 1e400 } \r\n', b' { "a" : 1e400 ,"temperature":0.10,"top_p":1e0} \r\n'),
        (b'{"top_p":null}', b'{"top_p":null,"temperature":0.10}'),
        (b'{"t\\u006fp_p":0.1000,"temperature":2}', b'{"t\\u006fp_p":0.1000,"temperature":2}'),
        (
            b'{"a":{"temperature":1},"b":"}"}',
            b'{"a":{"temperature":1},"b":"}","temperature":0.10,"top_p":1e0}',
        ),
        (b'{"top_p":1,"top_p":2,"temperature":0}', b'{"top_p":1,"top_p":2,"temperature":0}'),
    ],
)
def test_merge(body: bytes, merged: bytes) -> None:
    assert merge_defaults(body, WARM) == merged


def test_without_defaults_the_body_is_the_same_object() -> None:
    body = b'{"a": 1}'
    assert merge_defaults(body, {}) is body


@pytest.mark.parametrize("body", [b"", b"[]", b"1", b'{"a":1', b'{"a":1}}', b"nonsense", b"[" * 5000])
def test_what_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises((msgspec.DecodeError, RecursionError)):
        merge_defaults(body, WARM)


@given(
    st.dictionaries(st.text(), st.recursive(st.none() | st.integers() | st.text(), st.lists, max_leaves=5)),
    st.dictionaries(st.text(), st.integers() | st.text()),
)
def test_the_body_wins_and_the_rest_is_added(body: dict[str, object], defaults: dict[str, object]) -> None:
    raw = {name: msgspec.Raw(json.dumps(value).encode()) for name, value in defaults.items()}
    assert json.loads(merge_defaults(json.dumps(body).encode(), raw)) == {**defaults, **body}


def test_a_job_lends_its_model() -> None:
    job = Job(id=JobId("job-a"), model='say "m"', defaults={"n": msgspec.Raw(b"1")})
    assert merge_defaults(b"{}", defaults_of(job)) == b'{"model":"say \\"m\\"","n":1}'
    assert merge_defaults(b'{"model":"x","n":2}', defaults_of(job)) == b'{"model":"x","n":2}'
    assert defaults_of(Job(id=JobId("job-any"))) == {}
