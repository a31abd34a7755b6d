"""The AWS credential chain, endpoints and signatures, through botocore and never through its clients for S3.

Everything here blocks; callers run it in a thread, except `presign_get`.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from functools import lru_cache
from typing import Any
from urllib.parse import quote

import botocore.auth
import botocore.awsrequest
import botocore.configprovider
import botocore.credentials
import botocore.exceptions
import botocore.session
import msgspec

from pronk.media.fetched import FetchError, TransientError

_TRANSIENT = (
    botocore.exceptions.HTTPClientError,
    botocore.exceptions.MetadataRetrievalError,
    botocore.exceptions.ReadTimeoutError,
)
_DEFAULT_REGION = "us-east-1"


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """Who reads: the default chain, a named profile, a role on top of either, or nobody."""

    profile: str | None = None
    role_arn: str | None = None
    external_id: str | None = None
    anonymous: bool = False


class Keys(msgspec.Struct, frozen=True, kw_only=True):
    """Credentials for a while; `expires_at` is their true end in epoch seconds, None for ever."""

    access_key: str
    secret_key: str
    token: str | None = None
    expires_at: float | None = None


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """What the standard AWS settings say for a profile: the region, and an S3 endpoint if one is set."""

    region: str
    endpoint: str | None


class Chain:
    """The standard chain: environment, profiles, SSO, web identity, container and instance roles, credential processes.

    `new_session` makes a botocore session for a profile name or None.
    """

    def __init__(self, new_session: Callable[[str | None], Any] | None = None) -> None:
        self._new_session = new_session or _session

    def surroundings(self, profile: str | None) -> Surroundings:
        """Read region and endpoint as every AWS tool does, ``AWS_ENDPOINT_URL_S3`` before ``AWS_ENDPOINT_URL``."""
        session = _guarded(lambda: self._new_session(profile))
        region = session.get_config_variable("region") or _DEFAULT_REGION
        if session.get_config_variable("ignore_configured_endpoint_urls"):
            return Surroundings(region=region, endpoint=None)
        configured = botocore.configprovider.ConfiguredEndpointProvider(
            full_config=session.full_config,
            scoped_config=_guarded(session.get_scoped_config),
            client_name="s3",
        )
        endpoint = configured.provide()
        return Surroundings(region=region, endpoint=endpoint.rstrip("/") if endpoint else None)

    def aws_endpoint(self, region: str, profile: str | None) -> str:
        """Return Amazon's own endpoint of a region, FIPS and dual stack as configured."""
        session = self._new_session(profile)
        wishes = {
            name: True
            for name in ("use_fips_endpoint", "use_dualstack_endpoint")
            if session.get_config_variable(name)
        }
        found = session.get_component("endpoint_resolver").construct_endpoint("s3", region, **wishes)
        return f"https://{found['hostname']}" if found else f"https://s3.{region}.amazonaws.com"

    def keys(self, identity: Identity) -> Keys:
        """Return fresh credentials; a new session each time, so that rotated files and logins are seen."""
        keys: Keys = _guarded(lambda: _frozen(self._credentials(identity)))
        return keys

    def _credentials(self, identity: Identity) -> Any:
        session = self._new_session(identity.profile)
        found = session.get_credentials()
        if found is None or identity.role_arn is None:
            return found
        named = {"RoleSessionName": f"pronk-{socket.gethostname()}"[:64].replace(" ", "-")}
        if identity.external_id is not None:
            named["ExternalId"] = identity.external_id
        region = session.get_config_variable("region") or _DEFAULT_REGION

        def new_client(service: str, **arguments: Any) -> Any:
            return session.create_client(service, **{"region_name": region, **arguments})

        fetcher = botocore.credentials.AssumeRoleCredentialFetcher(
            client_creator=new_client, source_credentials=found, role_arn=identity.role_arn, extra_args=named
        )
        return botocore.credentials.DeferredRefreshableCredentials(
            refresh_using=fetcher.fetch_credentials, method="assume-role"
        )


def presign_get(url: str, keys: Keys, region: str, seconds: int) -> str:
    """Return `url` signed in its query for `seconds`."""
    request = botocore.awsrequest.AWSRequest(method="GET", url=url)
    botocore.auth.S3SigV4QueryAuth(_botocore_keys(keys), "s3", region, expires=seconds).add_auth(request)
    return str(request.url)


@lru_cache(256)
def quote_key(key: str) -> str:
    """Return `key` as it stands in a URL's path: every byte but unreserved ones and slashes escaped."""
    return quote(key, safe="/~")


def _session(profile: str | None) -> Any:
    """AWS_REGION is read too: newer SDKs and the command line know it, botocore alone does not."""
    variables = {"region": ("region", ["AWS_REGION", "AWS_DEFAULT_REGION"], None, None)}
    return botocore.session.Session(session_vars=variables, profile=profile)


def _frozen(credentials: Any) -> Keys:
    if credentials is None:
        raise FetchError(
            "access_denied",
            "cannot be read: the server has no AWS credentials (see AWS_PROFILE, or anonymous)",
        )
    frozen = credentials.get_frozen_credentials()
    expiry = getattr(credentials, "_expiry_time", None)
    return Keys(
        access_key=frozen.access_key,
        secret_key=frozen.secret_key,
        token=frozen.token,
        expires_at=expiry.timestamp() if expiry is not None else None,
    )


def _botocore_keys(keys: Keys) -> Any:
    return botocore.credentials.ReadOnlyCredentials(keys.access_key, keys.secret_key, keys.token)


def _guarded(call: Callable[[], Any]) -> Any:
    """Run `call`; botocore's words stay out of messages because they name roles, accounts and addresses."""
    try:
        return call()
    except botocore.exceptions.ClientError as error:
        if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= 500 or _is_throttle(error):
            raise TransientError("the credential service is busy") from error
        raise FetchError(
            "access_denied", "cannot be read: the server may not take on the role for this bucket"
        ) from error
    except _TRANSIENT as error:
        raise TransientError("the credential service does not answer") from error
    except (botocore.exceptions.BotoCoreError, OSError, ValueError) as error:
        raise FetchError(
            "access_denied", "cannot be read: the server's credentials for it are not usable"
        ) from error


def _is_throttle(error: botocore.exceptions.ClientError) -> bool:
    return "hrottl" in error.response.get("Error", {}).get("Code", "")
