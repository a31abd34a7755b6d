"""Where programs get credentials from: the token service, a container's address, an instance's metadata."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from urllib.parse import parse_qsl

from tests.fakes.aws.iam import Credential, Iam, Role
from tests.fakes.aws.sigv4 import Signed
from tests.fakes.http1 import Reply, Request

CONTAINER = "/.container/"
INSTANCE = "/.instance/"
CONTAINER_TOKEN = "container-authorization-token"
_WEB_IDENTITY_TOKEN = "web-identity-token"
_XML = (("content-type", "text/xml"),)


def answer_sts(form: dict[str, str], iam: Iam, signed: Signed | None) -> Reply:
    """AssumeRole for a signer the role trusts, AssumeRoleWithWebIdentity for a token; else AccessDenied."""
    role = iam.roles.get(form.get("RoleArn", ""))
    action = form["Action"]
    is_known = signed is not None and role is not None and signed.credential.principal in role.trusts
    is_known = is_known and role is not None and role.external_id == form.get("ExternalId")
    if action == "AssumeRoleWithWebIdentity":
        is_known = form.get("WebIdentityToken") == _WEB_IDENTITY_TOKEN
    if role is None or not is_known:
        return _sts_refusal("AccessDenied", f"Not authorized to perform sts:{action}")
    return _sts_session(action, role, iam.new_session(role.arn, role.session_seconds))


def read_form(request: Request) -> dict[str, str]:
    """Return the fields of a query-protocol request."""
    return dict(parse_qsl(request.body.decode()))


def answer_container(request: Request, iam: Iam) -> Reply:
    """Return a session of the role that the path names, to who knows the token."""
    role = iam.roles.get(request.path.removeprefix(CONTAINER))
    if role is None or request.headers.get("authorization") != CONTAINER_TOKEN:
        return Reply(403, body=b"{}")
    return _json(_document(iam.new_session(role.arn, role.session_seconds)))


def answer_instance(request: Request, iam: Iam) -> Reply:
    """Instance metadata, second version: a token first, then the role's name, then its session."""
    path = request.path.removeprefix(INSTANCE)
    if request.method == "PUT" and path == "latest/api/token":
        return Reply(200, (("x-aws-ec2-metadata-token-ttl-seconds", "21600"),), b"instance-token")
    role = iam.roles.get(iam.instance_role or "")
    if role is None or request.headers.get("x-aws-ec2-metadata-token") != "instance-token":
        return Reply(401 if role else 404)
    if path == "latest/meta-data/iam/security-credentials/":
        return Reply(200, body=b"the-instance-role")
    session = iam.new_session(role.arn, role.session_seconds)
    return _json({"Code": "Success", "Type": "AWS-HMAC", **_document(session)})


def _sts_refusal(code: str, message: str) -> Reply:
    error = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
    return Reply(403, _XML, f"<ErrorResponse>{error}</ErrorResponse>".encode())


def _sts_session(action: str, role: Role, session: Credential) -> Reply:
    document = _document(session)
    fields = {
        "AccessKeyId": session.access_key,
        "SecretAccessKey": session.secret,
        "SessionToken": document["Token"],
        "Expiration": document["Expiration"],
    }
    inner = "".join(f"<{name}>{value}</{name}>" for name, value in fields.items())
    user = (
        f"<AssumedRoleUser><Arn>{role.arn}</Arn><AssumedRoleId>AROA:pronk</AssumedRoleId></AssumedRoleUser>"
    )
    body = f"<{action}Result><Credentials>{inner}</Credentials>{user}</{action}Result>"
    return Reply(200, _XML, f"<{action}Response>{body}</{action}Response>".encode())


def _document(session: Credential) -> dict[str, str]:
    ends = datetime.fromtimestamp(session.expires_at or 0.0, UTC)
    return {
        "AccessKeyId": session.access_key,
        "SecretAccessKey": session.secret,
        "Token": session.token or "",
        "Expiration": ends.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def _json(document: dict[str, str]) -> Reply:
    return Reply(200, (("content-type", "application/json"),), json.dumps(document).encode())
