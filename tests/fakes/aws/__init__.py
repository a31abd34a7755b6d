"""A small AWS of our own that behaves as the real one does: signatures, regions, roles, and every way to fail."""

from tests.fakes.aws.buckets import OWNER, Bucket
from tests.fakes.aws.credentials import CONTAINER, CONTAINER_TOKEN, INSTANCE
from tests.fakes.aws.faults import GARBAGE, HANG_UP, RESET, SILENT, Fault, Latency
from tests.fakes.aws.iam import Credential, Iam, Role
from tests.fakes.aws.server import USER, Aws, open_aws

__all__ = [
    "CONTAINER",
    "CONTAINER_TOKEN",
    "GARBAGE",
    "HANG_UP",
    "INSTANCE",
    "OWNER",
    "RESET",
    "SILENT",
    "USER",
    "Aws",
    "Bucket",
    "Credential",
    "Fault",
    "Iam",
    "Latency",
    "Role",
    "open_aws",
]
