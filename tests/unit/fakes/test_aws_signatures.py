"""The fake's signature check against the signer that everybody uses."""

from __future__ import annotations

import time
from dataclasses import replace
from urllib.parse import quote, urlsplit

import pytest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.aws import USER, Aws, Credential
from tests.fakes.http1 import Reply, Request

URL = "http://127.0.0.1:9000"


def signed(
    credential: Credential,
    url: str,
    *,
    method: str = "GET",
    region: str = "eu-west-1",
    headers: dict[str, str] | None = None,
    body: bytes = b"",
) -> Request:
    asked = AWSRequest(method, url, headers=headers or {}, data=body)
    keys = Credentials(credential.access_key, credential.secret, credential.token)
    S3SigV4Auth(keys, "s3", region).add_auth(asked)
    return on_the_wire(asked)


def on_the_wire(asked: AWSRequest) -> Request:
    parts = urlsplit(asked.url)
    headers = {name.lower(): value for name, value in asked.headers.items()}
    headers.setdefault("host", parts.netloc)
    body = asked.data if isinstance(asked.data, bytes) else b""
    return Request(asked.method, parts.path, parts.query, headers, body, parts.netloc)


def world() -> tuple[Aws, Credential]:
    aws = Aws()
    bucket = aws.new_bucket("parts", "eu-west-1")
    bucket.put("a.png", b"bytes of a")
    return aws, aws.new_user()


def code(reply: Reply) -> str:
    return reply.body.decode().partition("<Code>")[2].partition("</Code>")[0]


def test_the_right_signature_is_served() -> None:
    aws, user = world()
    assert aws.answer(signed(user, f"{URL}/parts/a.png")).body == b"bytes of a"


@given(key=st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=30))
def test_any_key_is_signed_and_found_as_written(key: str) -> None:
    aws, user = world()
    aws.buckets["parts"].put(key, b"here")
    reply = aws.answer(signed(user, f"{URL}/parts/{quote(key, safe='/-_.~')}"))
    assert (reply.status, reply.body) == (200, b"here")


@given(prefix=st.text(st.characters(codec="utf-8"), max_size=20))
def test_any_query_is_signed(prefix: str) -> None:
    aws, user = world()
    reply = aws.answer(signed(user, f"{URL}/parts?list-type=2&prefix={quote(prefix, safe='')}&marker="))
    assert reply.status == 200


def test_a_body_is_part_of_the_signature() -> None:
    aws, user = world()
    right = signed(user, f"{URL}/parts/new", method="PUT", body=b"as sent")
    assert code(aws.answer(replace(right, body=b"as changed"))) == "XAmzContentSHA256Mismatch"
    assert aws.answer(right).status == 200


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda r: replace(r, path="/parts/b.png"), "SignatureDoesNotMatch"),
        (lambda r: replace(r, query="versionId=1"), "SignatureDoesNotMatch"),
        (lambda r: replace(r, headers={**r.headers, "host": "evil.test"}), "SignatureDoesNotMatch"),
        (lambda r: replace(r, headers={**r.headers, "x-amz-request-payer": "requester"}), "AccessDenied"),
        (
            lambda r: replace(r, headers={**r.headers, "authorization": "AWS4-HMAC-SHA256 x"}),
            "AuthorizationHeaderMalformed",
        ),
        (lambda r: replace(r, headers={**r.headers, "x-amz-content-sha256": ""}), "InvalidRequest"),
    ],
)
def test_what_was_signed_may_not_change(change: object, expected: str) -> None:
    aws, user = world()
    assert callable(change)
    assert code(aws.answer(change(signed(user, f"{URL}/parts/a.png")))) == expected


def test_keys_and_sessions_are_known_and_end() -> None:
    aws, user = world()
    url = f"{URL}/parts/a.png"
    session = aws.iam.new_session(USER, 3600)
    assert aws.answer(signed(session, url)).status == 200
    assert code(aws.answer(signed(replace(session, token="made up"), url))) == "InvalidToken"
    assert code(aws.answer(signed(replace(user, secret="wrong"), url))) == "SignatureDoesNotMatch"
    assert code(aws.answer(signed(replace(user, access_key="AKIANOBODY"), url))) == "InvalidAccessKeyId"
    assert aws.iam.end_sessions() == 1
    refused = aws.answer(signed(session, url))
    assert (refused.status, code(refused)) == (400, "ExpiredToken")


def test_a_clock_that_is_off_is_noticed() -> None:
    aws, user = world()
    request = signed(user, f"{URL}/parts/a.png")
    aws.now = lambda: time.time() + 901
    assert code(aws.answer(request)) == "RequestTimeTooSkewed"


def test_a_presigned_address_works_until_it_ends() -> None:
    aws, user = world()
    asked = AWSRequest("GET", f"{URL}/parts/a.png")
    S3SigV4QueryAuth(Credentials(user.access_key, user.secret), "s3", "eu-west-1", expires=60).add_auth(asked)
    request = on_the_wire(asked)
    assert aws.answer(request).body == b"bytes of a"
    aws.now = lambda: time.time() + 61
    assert code(aws.answer(request)) == "AccessDenied"


def test_the_token_service_checks_too() -> None:
    aws, user = world()
    arn = "arn:aws:iam::222222222222:role/reader"
    aws.iam.add_role(arn, trusts={USER}, external_id="x1", seconds=900)
    body = (
        f"Action=AssumeRole&Version=2011-06-15&RoleArn={quote(arn, safe='')}&RoleSessionName=s&ExternalId=x1"
    )
    asked = AWSRequest("POST", f"{URL}/", data=body.encode())
    SigV4Auth(Credentials(user.access_key, user.secret), "sts", "us-east-1").add_auth(asked)
    request = on_the_wire(asked)
    assert b"<SessionToken>" in aws.answer(request).body
    assert (
        code(aws.answer(replace(request, body=body.replace("x1", "x2").encode()))) == "SignatureDoesNotMatch"
    )
