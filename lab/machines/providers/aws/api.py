"""Calls EC2. The only user of boto3, which is an extra; each of its failures becomes one of our errors with a fix."""

from __future__ import annotations

import contextlib
import functools
import ipaddress
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any, Final

from lab.machines.providers.known_failures import KnownFailure, known_in
from lab.model.errors import ConfigError, LabError, PreconditionError, ProvisioningError, TransientError

INSTALL: Final = "pip install 'invisible-lab[aws]'"
CHECKIP: str = "https://checkip.amazonaws.com"  # AWS's service that returns the caller's address
CONNECT_S: Final = 10.0
READ_S: float = 30.0
TRIES: Final = 3
LOGIN: Final = "log in (aws configure, aws sso login) until `aws sts get-caller-identity` works"
QUOTA: Final = "use another --instance or --region, end unused instances, or request a quota increase (Service Quotas)"


class LateAnswer(TransientError):
    """No answer in time: whether the request was done is unknown."""


# by EC2's error code
KNOWN: Final = (
    KnownFailure(
        pattern=r"^(AuthFailure|InvalidClientTokenId|SignatureDoesNotMatch|UnrecognizedClientException)$",
        error=PreconditionError,
        message="AWS rejects the credential",
        fix=LOGIN,
    ),
    KnownFailure(
        pattern=r"^(ExpiredToken|ExpiredTokenException|RequestExpired)$",
        error=PreconditionError,
        message="the AWS credential has expired",
        fix=LOGIN,
    ),
    KnownFailure(
        pattern=r"^(UnauthorizedOperation|OptInRequired|Blocked|PendingVerification)$",
        error=PreconditionError,
        message="the AWS account lacks the permission",
        fix="request the permissions in docs/how-to/cloud.md",
    ),
    KnownFailure(
        pattern=r"^(InstanceLimitExceeded|VcpuLimitExceeded|SecurityGroupLimitExceeded|VolumeLimitExceeded)$",
        error=PreconditionError,
        message="the account's quota is exhausted",
        fix=QUOTA,
    ),
    KnownFailure(
        pattern=r"^(InsufficientInstanceCapacity|RequestLimitExceeded|Throttling|Unavailable|InternalError)$",
        error=TransientError,
        message="EC2 has no capacity or throttles requests right now",
        fix="run the command again later, or use another --instance or --region",
    ),
    KnownFailure(
        pattern=r"^(InvalidInstanceType|InvalidAMIID\.NotFound|InvalidAMIID\.Malformed|Unsupported)$",
        error=ConfigError,
        message="EC2 has no such image or instance type in this region",
        fix="correct --source, --instance or --region",
    ),
    KnownFailure(
        pattern=r"^(VPCIdNotSpecified|DefaultVpcDoesNotExist)$",
        error=PreconditionError,
        message="the region has no default VPC",
        fix="aws ec2 create-default-vpc",
    ),
)


def region(wanted: str) -> str:
    """The wanted region, else the one in the AWS settings. Raises PreconditionError, ConfigError."""
    boto3 = _boto3()
    with translated("the settings"):
        session = boto3.Session(botocore_session=_session())
        found = wanted or session.region_name or os.environ.get("AWS_REGION") or ""
        partitions = session.get_available_partitions()
        known = {one for name in partitions for one in session.get_available_regions("ec2", partition_name=name)}
    if not found:
        raise PreconditionError("no AWS region is set", fix="--region eu-central-1")
    if found not in known:
        raise ConfigError(f"AWS has no region {found!r}", fix="use --region eu-central-1, or another AWS region")
    return str(found)


def client(where: str, *, once: bool = False) -> Any:
    """EC2 of one region. `once`: no request is ever sent a second time. Raises PreconditionError."""
    boto3 = _boto3()
    from botocore.config import Config

    retries = {"total_max_attempts": 1 if once else TRIES, "mode": "standard"}
    config = Config(connect_timeout=CONNECT_S, read_timeout=READ_S, retries=retries)
    with translated("the settings"):
        return boto3.Session(botocore_session=_session()).client("ec2", region_name=where, config=config)


def call(ec2: Any, operation: str, **parameters: Any) -> dict[str, Any]:
    """One request. Raises LateAnswer, and what `translated` raises."""
    with translated(operation):
        answer: dict[str, Any] = getattr(ec2, operation)(**parameters)
        return answer


@contextlib.contextmanager
def translated(what: str) -> Iterator[None]:
    """Turns what boto3 raises inside into one of our errors."""
    from botocore import exceptions as boto

    try:
        yield
    except boto.ClientError as error:
        raise failure(what, str(error.response["Error"]["Code"]), str(error.response["Error"]["Message"])) from error
    except (boto.NoCredentialsError, boto.PartialCredentialsError, boto.CredentialRetrievalError) as error:
        raise PreconditionError(f"no valid AWS credential: {error}", fix=LOGIN) from error
    except (boto.SSOError, boto.TokenRetrievalError, boto.ProfileNotFound, boto.ConfigParseError) as error:
        raise PreconditionError(f"invalid AWS settings: {error}", fix=LOGIN) from error
    except boto.EndpointConnectionError as error:
        fix = "check the network, then run the command again"
        raise TransientError(f"cannot connect to EC2: {error}", fix=fix) from error
    except boto.HTTPClientError as error:
        raise LateAnswer(f"EC2 did not answer {what} in time", fix="run the command again") from error
    except boto.BotoCoreError as error:
        raise ProvisioningError(
            f"EC2: {what}: {error}", fix="fix the error above, then run the command again"
        ) from error


def failure(what: str, code: str, message: str) -> LabError:
    """The error for one of EC2's codes; an unknown code keeps EC2's message."""
    if (known := known_in(KNOWN, code)) is not None:
        return known.error(f"EC2 {what}: {known.message} ({code})", fix=known.fix, detail=message)
    fix = "fix the error above, then run the command again"
    return Ec2Refused(f"EC2 {what} failed ({code})", code=code, fix=fix, detail=message)


class Ec2Refused(ProvisioningError):
    """EC2 refused a request with a code that is not in KNOWN."""

    def __init__(self, message: str, *, code: str, fix: str, detail: str | None = None) -> None:
        super().__init__(message, fix=fix, detail=detail)
        self.code = code


def my_address() -> str:
    """The public IPv4 address of this host. Raises TransientError."""
    try:
        with urllib.request.urlopen(CHECKIP, timeout=CONNECT_S) as answer:
            return str(ipaddress.IPv4Address(answer.read(64).decode("ascii", "replace").strip()))
    except (OSError, ValueError) as error:
        message = f"cannot get this host's public address from {CHECKIP}: {error}"
        raise TransientError(message, fix="check the network, then run the command again") from error


def _session() -> Any:
    """A new session, so that settings are read again; only EC2's service description is cached (0.5 s)."""
    import botocore.session

    session = botocore.session.Session()
    session.register_component("data_loader", _loader())
    return session


@functools.cache
def _loader() -> Any:
    import botocore.loaders

    return botocore.loaders.Loader()


def _boto3() -> Any:
    try:
        import boto3
    except ImportError as error:
        raise PreconditionError("the aws provider needs boto3", fix=INSTALL) from error
    return boto3
