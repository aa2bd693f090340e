"""What the errors of botocore and urllib3 mean here; used by the other modules of S3 only."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConfigNotFound,
    CredentialRetrievalError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    TokenRetrievalError,
)
from botocore.exceptions import ConnectionError as BotoConnectionError
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError
from urllib3.exceptions import TimeoutError as UrllibTimeoutError

from wsi_streamer.errors import (
    SlideChanged,
    SlideNotFound,
    StorageError,
    StorageReadError,
    StorageUnreachable,
    WsiError,
)

# Everything that a call of boto3 raises; ValueError stands for headers that it cannot parse and
# endpoints that it cannot use.
FOREIGN_ERRORS = (BotoCoreError, ClientError, ResponseParserError, HTTPError, ValueError)


class NoAnswer(Exception):
    """A request of ours got no answer, not even the beginning of one."""


class Refused(Exception):
    """A request of ours got an answer without the bytes; `code` is the storage's word for why."""

    def __init__(self, status: int, code: str, retry_after_s: int = 0) -> None:
        super().__init__(f"{status} {code}")
        self.status = status
        self.code = code
        self.retry_after_s = retry_after_s


UNREACHABLE_ERRORS = (BotoConnectionError, HTTPClientError, UrllibTimeoutError, NoAnswer)
CREDENTIAL_ERRORS = (
    NoCredentialsError,
    PartialCredentialsError,
    CredentialRetrievalError,
    TokenRetrievalError,
    ProfileNotFound,
    ConfigNotFound,
)

WRONG_KEY_CODES = {"InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken"}
WRONG_REGION_CODES = {
    "AuthorizationHeaderMalformed",
    "PermanentRedirect",
    "TemporaryRedirect",
    "IllegalLocationConstraintException",
    # Answers to HEAD have no body that could name the error.
    "301",
    "307",
}


@contextmanager
def translated_errors(key: str) -> Iterator[None]:
    """Turn what boto3 raises while `key` is asked for into our errors."""
    try:
        yield
    except FOREIGN_ERRORS as exc:
        raise translated(exc, key) from exc


def translated(exc: Exception, key: str) -> WsiError:
    """Return our error for one of ours or of FOREIGN_ERRORS, met while `key` was asked for."""
    if isinstance(exc, Refused):
        return _refusal(exc.code, exc.status, key)
    if isinstance(exc, ClientError):
        return _refusal(error_code(exc), error_status(exc), key)
    if isinstance(exc, UNREACHABLE_ERRORS):
        return StorageUnreachable("the storage cannot be reached, or does not answer in time")
    if isinstance(exc, HTTPError):
        return StorageReadError(f"the storage broke off its answer while {key} was read")
    if isinstance(exc, CREDENTIAL_ERRORS):
        return StorageError("the server has no valid credentials for the storage")
    return StorageError("the storage cannot be asked, or gave an answer that makes no sense")


def error_code(exc: ClientError) -> str:
    """Return the storage's word for an error ("AccessDenied"), or its HTTP status."""
    code = exc.response.get("Error", {}).get("Code", "")
    # Whoever answers chooses this text, and it goes to users and logs.
    return code if re.fullmatch("[A-Za-z0-9.]{1,64}", code) else str(error_status(exc))


def error_status(exc: ClientError) -> int:
    """Return the HTTP status of an error, 0 if there is none."""
    return exc.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)


def _refusal(code: str, status: int, key: str) -> WsiError:
    if code == "NoSuchBucket":
        return StorageError("the storage has no such bucket")
    if status == 404 or code in {"NoSuchKey", "KeyTooLongError"}:
        return SlideNotFound(f"there is no {key}")
    if status == 412:
        return SlideChanged(f"{key} was replaced since it was opened")
    if status == 416:
        return StorageReadError(f"the storage says that {key} ends before the bytes asked for")
    if code in WRONG_REGION_CODES:
        return StorageError(f"the bucket lies in another region ({code})")
    if code in WRONG_KEY_CODES:
        return StorageError(f"the storage does not accept the server's credentials ({code})")
    if status in {401, 403}:
        return StorageError(f"the storage denies access ({code})")
    return StorageError(f"the storage failed ({code})")


def advice(error: WsiError, bucket: str, endpoint: str) -> str:
    """Return one line for the operator: why listing the bucket failed, and what to change."""
    if isinstance(error.__cause__, ClientError):
        return _advice_on_refusal(error.__cause__, bucket, endpoint)
    if isinstance(error.__cause__, CREDENTIAL_ERRORS):
        return (
            f"no valid credentials for {endpoint}: set AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY (or AWS_PROFILE), or WSI_S3_ANONYMOUS=true for a public bucket"
        )
    if isinstance(error, StorageUnreachable):
        return f"{endpoint} cannot be reached: check WSI_S3_ENDPOINT, WSI_S3_REGION and the network"
    return f"{endpoint} does not answer as S3 does: check WSI_S3_ENDPOINT and WSI_S3_REGION"


def _advice_on_refusal(exc: ClientError, bucket: str, endpoint: str) -> str:
    code = error_code(exc)
    if code in {"NoSuchBucket", "404"}:
        return f"{endpoint} has no bucket {bucket}: check WSI_SOURCE and WSI_S3_ENDPOINT"
    if code in WRONG_REGION_CODES:
        return f"bucket {bucket} lies in another region: set WSI_S3_REGION to it ({code})"
    if code in WRONG_KEY_CODES:
        return (
            f"{endpoint} does not accept the credentials ({code}): "
            "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )
    if error_status(exc) in {401, 403}:
        return (
            f"{endpoint} denies access to bucket {bucket} ({code}): allow s3:ListBucket and "
            "s3:GetObject, or set WSI_S3_ANONYMOUS=true if the bucket is public"
        )
    return f"{endpoint} fails to list bucket {bucket} ({code}): try again, or ask its operator"
