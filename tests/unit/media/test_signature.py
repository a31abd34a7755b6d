"""Our signature of a GET is botocore's, whatever is signed."""

from __future__ import annotations

from calendar import timegm
from time import strptime

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from hypothesis import given, settings
from hypothesis import strategies as st

from pronk.media.aws import Keys, quote_key
from pronk.media.signature import sign_get

WORDS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40)
KEYS = st.builds(Keys, access_key=WORDS, secret_key=WORDS, token=st.none() | WORDS)
QUERIES = st.sampled_from(["", "?versionId=abc.DEF_1", "?versionId=null", "?b=2&a=1", "?uploads"])
MORE = st.sampled_from(
    [{}, {"x-amz-request-payer": "requester"}, {"x-amz-expected-bucket-owner": "123456789012"}]
)


@settings(deadline=None)
@given(
    KEYS,
    st.text(min_size=1).filter(lambda key: key.isprintable()),
    QUERIES,
    MORE,
    st.sampled_from(["s3.eu-west-1.amazonaws.com", "[::1]:9000"]),
)
def test_it_is_what_botocore_computes(
    keys: Keys, key: str, query: str, more: dict[str, str], host: str
) -> None:
    target = f"/bucket/{quote_key(key)}{query}"
    request = AWSRequest(method="GET", url=f"http://{host}{target}", headers=more)
    credentials = ReadOnlyCredentials(keys.access_key, keys.secret_key, keys.token)
    S3SigV4Auth(credentials, "s3", "eu-west-1").add_auth(request)
    at = timegm(strptime(request.headers["X-Amz-Date"], "%Y%m%dT%H%M%SZ"))
    signed = sign_get(host, target, keys, "eu-west-1", more, now=lambda: at)
    assert signed == {name.lower(): value for name, value in request.headers.items()}
