"""Asking EC2. The only user of boto3, which is an extra; every way it fails becomes one of our errors with one fix."""

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
CHECKIP: str = "https://checkip.amazonaws.com"  # AWS's own answer to "from where do I come?"
CONNECT_S: Final = 10.0
READ_S: float = 30.0
TRIES: Final = 3
LOGIN: Final = "aws sts get-caller-identity, until it answers (aws configure, aws sso login)"
QUOTA: Final = "another --instance or --region, end what is not needed, or ask for a higher quota (AWS: Service Quotas)"


class LateAnswer(TransientError):
    """No answer in time: whether it was done is not known."""


# by EC2's error code
KNOWN: Final = (
    KnownFailure(
        pattern=r"^(AuthFailure|InvalidClientTokenId|SignatureDoesNotMatch|UnrecognizedClientException)$",
        error=PreconditionError,
        message="AWS does not accept this credential",
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
        message="this AWS account may not do that",
        fix="ask for the permissions in docs/how-to/cloud.md",
    ),
    KnownFailure(
        pattern=r"^(InstanceLimitExceeded|VcpuLimitExceeded|SecurityGroupLimitExceeded|VolumeLimitExceeded)$",
        error=PreconditionError,
        message="the account's quota is used up",
        fix=QUOTA,
    ),
    KnownFailure(
        pattern=r"^(InsufficientInstanceCapacity|RequestLimitExceeded|Throttling|Unavailable|InternalError)$",
        error=TransientError,
        message="EC2 cannot do that right now",
        fix="run the command again later, or choose another --instance or --region",
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
    """The region that was asked for, else the account's own setting. Raises PreconditionError, ConfigError."""
    boto3 = _boto3()
    with told("the settings"):
        session = boto3.Session(botocore_session=_session())
        found = wanted or session.region_name or os.environ.get("AWS_REGION") or ""
        partitions = session.get_available_partitions()
        known = {one for name in partitions for one in session.get_available_regions("ec2", partition_name=name)}
    if not found:
        raise PreconditionError("no AWS region is set", fix="--region eu-central-1")
    if found not in known:
        raise ConfigError(f"AWS has no region {found!r}", fix="--region eu-central-1, or another of AWS's regions")
    return str(found)


def client(where: str, *, once: bool = False) -> Any:
    """EC2 of one region. `once`: no request is ever sent a second time. Raises PreconditionError."""
    boto3 = _boto3()
    from botocore.config import Config

    retries = {"total_max_attempts": 1 if once else TRIES, "mode": "standard"}
    config = Config(connect_timeout=CONNECT_S, read_timeout=READ_S, retries=retries)
    with told("the settings"):
        return boto3.Session(botocore_session=_session()).client("ec2", region_name=where, config=config)


def call(ec2: Any, operation: str, **parameters: Any) -> dict[str, Any]:
    """One request. Raises LateAnswer, and what `told` raises."""
    with told(operation):
        answer: dict[str, Any] = getattr(ec2, operation)(**parameters)
        return answer


@contextlib.contextmanager
def told(what: str) -> Iterator[None]:
    """Whatever boto3 raises inside, as one of ours."""
    from botocore import exceptions as boto

    try:
        yield
    except boto.ClientError as error:
        raise failure(what, str(error.response["Error"]["Code"]), str(error.response["Error"]["Message"])) from error
    except (boto.NoCredentialsError, boto.PartialCredentialsError, boto.CredentialRetrievalError) as error:
        raise PreconditionError(f"no AWS credential: {error}", fix=LOGIN) from error
    except (boto.SSOError, boto.TokenRetrievalError, boto.ProfileNotFound, boto.ConfigParseError) as error:
        raise PreconditionError(f"the AWS settings cannot be used: {error}", fix=LOGIN) from error
    except boto.EndpointConnectionError as error:
        fix = "check the network, then run the command again"
        raise TransientError(f"EC2 cannot be reached: {error}", fix=fix) from error
    except boto.HTTPClientError as error:
        raise LateAnswer(f"EC2 did not answer {what} in time", fix="run the command again") from error
    except boto.BotoCoreError as error:
        raise ProvisioningError(
            f"EC2: {what}: {error}", fix="correct what it names, then run the command again"
        ) from error


def failure(what: str, code: str, message: str) -> LabError:
    """The error for one of EC2's codes; one that is not known keeps EC2's words."""
    if (known := known_in(KNOWN, code)) is not None:
        return known.error(f"EC2 {what}: {known.message} ({code})", fix=known.fix, detail=message)
    fix = "fix the error above, then run the command again"
    return Ec2Refused(f"EC2 {what} failed ({code})", code=code, fix=fix, detail=message)


class Ec2Refused(ProvisioningError):
    """EC2 said no with a code that has no meaning of its own here."""

    def __init__(self, message: str, *, code: str, fix: str, detail: str | None = None) -> None:
        super().__init__(message, fix=fix, detail=detail)
        self.code = code


def my_address() -> str:
    """The public IPv4 address that this host comes from. Raises TransientError."""
    try:
        with urllib.request.urlopen(CHECKIP, timeout=CONNECT_S) as answer:
            return str(ipaddress.IPv4Address(answer.read(64).decode("ascii", "replace").strip()))
    except (OSError, ValueError) as error:
        message = f"{CHECKIP} does not say from where this host comes: {error}"
        raise TransientError(message, fix="check the network, then run the command again") from error


def _session() -> Any:
    """A new one, so that settings are read again; only EC2's own description is read once (0.5 s)."""
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
